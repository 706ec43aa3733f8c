//! The other workloads, one after the other.

use ptfrag_benches::{
    allocator::Sharing,
    job::{Answer, Work},
    who::{Geometry, Who},
    work::{
        Order,
        burst::{Burst, Returned},
        cross::Cross,
        latency::{Latencies, Latency},
        pair::Pair,
        stalled::{Course, Stalled},
    },
};
use serde::Serialize;

use crate::{
    Effort,
    matrix::hundredths,
    row::Row,
    runner::{Runner, bar},
};

/// What a row gave for a workload, round by round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series<T> {
    pub(crate) row: Row,
    pub(crate) geometry: Geometry,
    pub(crate) rounds: Vec<Option<T>>,
}

type Rows = Vec<(Row, Geometry)>;

fn everybody(geometries: &[Geometry]) -> Rows {
    let rows = |&geometry| Row::all(geometry).map(move |row| (row, geometry));
    geometries.iter().flat_map(rows).collect()
}

fn series<T>(
    what: &'static str,
    rounds: usize,
    rows: Rows,
    mut take: impl FnMut(Row, Geometry) -> Option<T>,
) -> Vec<Series<T>> {
    let progress = bar(what, rounds * rows.len());
    let new = |(row, geometry)| Series { row, geometry, rounds: Vec::new() };
    let mut all: Vec<_> = rows.into_iter().map(new).collect();
    for _ in 0..rounds {
        for series in &mut all {
            series.rounds.push(take(series.row, series.geometry));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    eprintln!("{what}: {:.0} s", progress.elapsed().as_secs_f64());
    all
}

/// Nanoseconds per block that crosses from one thread to another.
pub(crate) fn cross(runner: &mut Runner, effort: Effort) -> Vec<Series<f64>> {
    series("crossing", 2 * effort.rounds, everybody(&Geometry::ALL), |row, geometry| {
        let pairs = if effort.quick { 1 << 15 } else { 1 << 18 };
        match runner.row(row, geometry, Work::Cross(Cross { pairs }))? {
            Answer::Timing(timing) => {
                Some(hundredths(timing.total.as_nanos() as f64 / pairs as f64))
            }
            _ => None,
        }
    })
}

/// A burst of 10 000.
pub(crate) fn bursts(runner: &mut Runner, effort: Effort) -> Vec<Series<Returned>> {
    let rows = everybody(&[Geometry::G16x256, Geometry::G2x2048]);
    series("bursts", 2 * effort.rounds, rows, |row, geometry| {
        match runner.row(row, geometry, Work::Burst(Burst { blocks: 10_000 }))? {
            Answer::Returned(returned) => Some(returned),
            _ => None,
        }
    })
}

/// Where latencies are taken.
pub(crate) const LATENCY: (Order, usize) = (Order::Random, 64);

/// Latencies with two threads on one mm.
pub(crate) fn latencies(runner: &mut Runner, effort: Effort) -> Vec<Series<Latencies>> {
    let (order, live) = LATENCY;
    let pairs = if effort.quick { 50_000 } else { 500_000 };
    let pair = Pair { order, live, threads: 2, sharing: Sharing::OneMm, pairs };
    let rows = everybody(&[Geometry::G16x256, Geometry::G2x2048]);
    series("latencies", effort.rounds, rows, |row, geometry| {
        match runner.row(row, geometry, Work::Latency(Latency(pair)))? {
            Answer::Latencies(latencies) => Some(latencies),
            _ => None,
        }
    })
}

/// Pairs in a millisecond while a reader stalls.
pub(crate) const STALL_RATE: u32 = 200;

/// A reader that stalls for a second. The allocator is glibc's with a count of the bytes.
pub(crate) fn stalls(runner: &mut Runner, effort: Effort) -> Vec<Series<Course>> {
    let phases = if effort.quick { [100, 400, 100] } else { [200, 1000, 400] };
    let geometry = Geometry::G16x256;
    // The floor reclaims nothing, so nothing of its can wait.
    let rows = Row::under_glibc(geometry).filter(|row| row.who != Who::Floor);
    let rows = rows.map(|row| (row, geometry)).collect();
    let rounds = effort.rounds.min(3);
    series("stalled reader", rounds, rows, |row, geometry| {
        let work = Work::Stalled(Stalled { rate: STALL_RATE, phases });
        match runner.counted(row, geometry, work)? {
            Answer::Course(course) => Some(course),
            _ => None,
        }
    })
}
