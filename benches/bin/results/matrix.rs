//! The pair workload: everybody, all geometries, orders and numbers of threads.

use std::time::Instant;

use ptfrag_benches::{
    allocator::Sharing,
    job::{Answer, Work},
    who::{Geometry, Who},
    work::{Order, Timing, pair::Pair},
};
use serde::Serialize;

use crate::{
    Effort,
    row::Row,
    runner::{Runner, bar},
};

/// What a pair is measured at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) geometry: Geometry,
    pub(crate) order: Order,
    pub(crate) live: usize,
    pub(crate) threads: usize,
    pub(crate) sharing: Sharing,
}

/// What a row took in a cell, round by round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Samples {
    /// As criterion names it.
    pub(crate) id: String,
    pub(crate) row: Row,
    pub(crate) cell: Cell,
    /// Nanoseconds of a core's time for a pair, everything drained.
    pub(crate) ns: Vec<Option<f64>>,
    /// The part of it after the last thread was through, until everything was free.
    pub(crate) drain: Vec<Option<f64>>,
}

/// Retired orders and numbers of blocks held. With one block there is only one order.
pub(crate) const ORDERS: [(Order, usize); 5] = [
    (Order::Fifo, 1),
    (Order::Fifo, 64),
    (Order::Fifo, 1024),
    (Order::Random, 64),
    (Order::Random, 1024),
];

/// Threads and what they share.
pub(crate) const THREADS: [(usize, Sharing); 5] = [
    (1, Sharing::OneMm),
    (2, Sharing::OneMm),
    (2, Sharing::TwoMms),
    (4, Sharing::OneMm),
    (8, Sharing::OneMm),
];

/// What the bare path is measured at for the profile.
pub(crate) const SHARES: [(usize, Sharing); 7] = [
    (1, Sharing::OneMm),
    (1, Sharing::Warm),
    (2, Sharing::OneMm),
    (2, Sharing::Warm),
    (2, Sharing::TwoMms),
    (2, Sharing::TwoSources),
    (2, Sharing::Nothing),
];

/// Blocks may wait for long when threads are kept from running: no more bytes than this at once.
const MOST_BYTES: u64 = 1 << 30;

impl Cell {
    pub(crate) fn id(self, row: Row) -> String {
        let Self { geometry, order, live, threads, sharing } = self;
        let sharing = match sharing {
            Sharing::OneMm => "",
            Sharing::Warm => "-warm",
            Sharing::TwoMms => "-2mms",
            Sharing::TwoSources => "-2sources",
            Sharing::Nothing => "-apart",
        };
        format!("pair/{row}/{geometry}/{order}{live}/{threads}t{sharing}")
    }

    fn pair(self, pairs: u64) -> Pair {
        let Self { order, live, threads, sharing, .. } = self;
        Pair { order, live, threads, sharing, pairs }
    }

    /// Pairs of a sample, when one takes each thread so many nanoseconds.
    fn pairs(self, row: Row, effort: Effort, wall: f64) -> u64 {
        let most = MOST_BYTES / (self.geometry.numbers().1 * self.threads) as u64;
        // liburcu's thread sleeps for milliseconds before it looks again, at the end too.
        let sample = effort.sample * if row.who == Who::Liburcu { 4 } else { 1 };
        ((sample.as_nanos() as f64 / wall) as u64).clamp(500, most)
    }

    /// How much longer a thread takes than a core: more threads than cores take turns.
    fn crowding(self) -> f64 {
        self.threads as f64 / self.threads.min(cores()) as f64
    }
}

/// The machine's cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Measures the whole matrix.
pub(crate) fn pairs(runner: &mut Runner, effort: Effort) -> Vec<Samples> {
    let mut all = Vec::new();
    for geometry in Geometry::ALL {
        for (order, live) in ORDERS {
            for (threads, sharing) in THREADS {
                let cell = Cell { geometry, order, live, threads, sharing };
                let rows = Row::all(geometry)
                    .filter(|row| sharing == Sharing::OneMm || row.who.has_pools());
                all.extend(rows.map(|row| Samples::new(row, cell)));
            }
        }
    }
    measure(runner, effort, "pairs", &mut all);
    all
}

/// Measures the bare path with two threads that share less and less, for the profile.
pub(crate) fn sharing(runner: &mut Runner, effort: Effort) -> Vec<Samples> {
    let mut all = Vec::new();
    for geometry in [Geometry::G16x256, Geometry::G2x2048] {
        for (order, live) in [(Order::Fifo, 64), (Order::Random, 64)] {
            for (threads, sharing) in SHARES {
                let cell = Cell { geometry, order, live, threads, sharing };
                all.push(Samples::new(Row::BARE, cell));
            }
        }
    }
    measure(runner, effort, "sharing", &mut all);
    all
}

impl Samples {
    fn new(row: Row, cell: Cell) -> Self {
        Self { id: cell.id(row), row, cell, ns: Vec::new(), drain: Vec::new() }
    }

    /// Takes a sample of so many pairs; gives what a pair took each thread.
    fn take(&mut self, runner: &mut Runner, pairs: u64) -> Option<f64> {
        let Self { row, cell, .. } = self;
        let answer = runner.row(*row, cell.geometry, Work::Pair(cell.pair(pairs)));
        let timing = match answer {
            Some(Answer::Timing(timing)) => Some(timing),
            _ => None,
        };
        let per_pair = |nanos: u128| hundredths(nanos as f64 / pairs as f64 / cell.crowding());
        let drain = |timing: Timing| per_pair((timing.total - timing.run).as_nanos());
        self.ns.push(timing.map(|timing| per_pair(timing.total.as_nanos())));
        self.drain.push(timing.map(drain));
        // The end does not grow with the pairs, or not as they do; but it may take its time.
        let wall = |timing: Timing| timing.run.as_nanos().max(timing.total.as_nanos() / 8);
        timing.map(|timing| wall(timing) as f64 / pairs as f64)
    }
}

/// No clock here tells more.
pub(crate) fn hundredths(ns: f64) -> f64 {
    (ns * 100.0).round() / 100.0
}

fn measure(runner: &mut Runner, effort: Effort, what: &'static str, all: &mut [Samples]) {
    let begun = Instant::now();
    let rounds = effort.pair_rounds;
    let progress = bar(what, all.len() * (rounds + 1));
    // A short sample tells how long one has to be; it is not kept.
    let mut wall: Vec<f64> = Vec::with_capacity(all.len());
    for samples in &mut *all {
        let took = samples.take(runner, 2000);
        samples.ns.clear();
        samples.drain.clear();
        wall.push(took.unwrap_or(100.0));
        progress.inc(1);
    }
    for round in 0..rounds {
        if round > 0 && begun.elapsed() > effort.pair_time * round as u32 / (round as u32 + 1) {
            runner.note(format!("The time was up after {round} rounds of {what}."));
            break;
        }
        for (samples, wall) in all.iter_mut().zip(&mut wall) {
            let pairs = samples.cell.pairs(samples.row, effort, *wall);
            if let Some(took) = samples.take(runner, pairs) {
                *wall = took;
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    eprintln!("{what}: {:.0} s", begun.elapsed().as_secs_f64());
}
