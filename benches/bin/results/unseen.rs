//! What no reader has seen: given back through handles, beside malloc and free.

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::unseen::{By, Unseen},
};
use serde::Serialize;

use crate::{
    Effort,
    matrix::hundredths,
    row::{Malloc, Row},
    runner::{Runner, bar},
    stats::{ratio, summary},
    tables::{digits, spread, table},
};

/// The rows of the table: how, who takes the blocks back, and whether another thread gives them.
const ROWS: [(&str, By, bool); 3] = [
    ("through the handle that has handed it out", By::Handle, false),
    ("through another handle of the mm, on the same thread", By::OtherHandle, false),
    ("through another thread's handle", By::Handle, true),
];

/// What a row and its neighbours took, round by round: nanoseconds for a block.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GivenBack {
    how: &'static str,
    ptfrag: Vec<Option<f64>>,
    mimalloc: Vec<Option<f64>>,
    glibc: Vec<Option<f64>>,
}

/// Measures the rows in turn.
pub(crate) fn unseen(runner: &mut Runner, effort: Effort) -> Vec<GivenBack> {
    let new = |(how, ..): (&'static str, By, bool)| GivenBack {
        how,
        ptfrag: Vec::new(),
        mimalloc: Vec::new(),
        glibc: Vec::new(),
    };
    let mut all: Vec<_> = ROWS.map(new).into();
    let rounds = 4 * effort.rounds + 1;
    let progress = bar("unseen", rounds * ROWS.len());
    for _ in 0..rounds {
        for (row, (_, by, crossing)) in all.iter_mut().zip(ROWS) {
            let mut take = |malloc, by| {
                let pairs = if effort.quick { 1 << 16 } else { 1 << 20 };
                let row = Row { malloc, ..Row::OURS };
                let work = Work::Unseen(Unseen { by, crossing, pairs });
                match runner.row(row, Geometry::G16x256, work)? {
                    Answer::Timing(timing) => {
                        Some(hundredths(timing.total.as_nanos() as f64 / pairs as f64))
                    }
                    _ => None,
                }
            };
            row.ptfrag.push(take(Malloc::Glibc, by));
            row.glibc.push(take(Malloc::Glibc, By::Heap));
            let mimalloc = || take(Malloc::Mimalloc, By::Heap);
            row.mimalloc.push(cfg!(feature = "mimalloc").then(mimalloc).flatten());
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    all
}

/// The table.
pub(crate) fn given_back(all: &[GivenBack]) -> String {
    let rows = all.iter().map(|GivenBack { how, ptfrag, mimalloc, glibc }| {
        let beside = |heap: &[Option<f64>]| match ratio(ptfrag, heap) {
            Some(times) => format!("{}, x{}", spread(summary(heap)), digits(times.median)),
            None => "not measured".to_owned(),
        };
        vec![(*how).to_owned(), spread(summary(ptfrag)), beside(mimalloc), beside(glibc)]
    });
    table(&["given back, ns", "ptfrag", "mimalloc", "glibc"], rows)
}
