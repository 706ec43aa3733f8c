//! What the page about the profile needs: parts by themselves, and counts.

use clap::ValueEnum;
use ptfrag_benches::{
    allocator::Sharing,
    job::{Answer, Work},
    who::Geometry,
    work::{
        Order,
        counts::Counts,
        pair::Pair,
        parts::{Part, Repeat},
    },
};
use serde::Serialize;

use crate::{
    Effort,
    matrix::hundredths,
    row::Row,
    runner::{Runner, bar},
};

/// What a part took, round by round: nanoseconds of each thread's time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PartSamples {
    pub(crate) part: Part,
    pub(crate) threads: usize,
    pub(crate) ns: Vec<Option<f64>>,
}

/// Measures the parts.
pub(crate) fn parts(runner: &mut Runner, effort: Effort) -> Vec<PartSamples> {
    let times = if effort.quick { 50_000 } else { 500_000 };
    let both = |&part: &Part| [1, 2].map(|threads| PartSamples { part, threads, ns: Vec::new() });
    let mut all: Vec<_> = Part::value_variants().iter().flat_map(both).collect();
    let rounds = 2 * effort.rounds + 1;
    let progress = bar("parts", rounds * all.len());
    for _ in 0..rounds {
        for PartSamples { part, threads, ns } in &mut all {
            let times = times / part.weight();
            let work = Work::Part(Repeat { part: *part, threads: *threads, times });
            ns.push(match runner.row(Row::BARE, Geometry::G16x256, work) {
                Some(Answer::Timing(timing)) => {
                    Some(hundredths(timing.run.as_nanos() as f64 / times as f64))
                }
                _ => None,
            });
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    all
}

/// What was counted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Counted {
    pub(crate) row: Row,
    pub(crate) geometry: Geometry,
    pub(crate) order: Order,
    pub(crate) live: usize,
    pub(crate) threads: usize,
    pub(crate) counts: Option<Counts>,
}

/// Counts locks, calls and pages.
pub(crate) fn counts(runner: &mut Runner, effort: Effort) -> Vec<Counted> {
    let pairs = if effort.quick { 100_000 } else { 1_000_000 };
    let mut all = Vec::new();
    for geometry in Geometry::ALL {
        for (order, live) in [(Order::Fifo, 64), (Order::Random, 64), (Order::Random, 1024)] {
            let rows = [
                (Row::BARE, 1),
                (Row::BARE, 2),
                (Row::LANES, 2),
                (Row::OURS, 2),
                (Row::SECTION, 2),
            ];
            for (row, threads) in rows {
                let pair = Pair { order, live, threads, sharing: Sharing::OneMm, pairs };
                let counts = match runner.row(row, geometry, Work::Counts(pair)) {
                    Some(Answer::Counts(counts)) => Some(counts),
                    _ => None,
                };
                all.push(Counted { row, geometry, order, live, threads, counts });
            }
        }
    }
    all
}
