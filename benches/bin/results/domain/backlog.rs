//! What sections cost while a backlog shrinks.

use std::time::Duration;

use clap::ValueEnum;
use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::backlog::{Backlog, By, Shrinking},
};
use serde::Serialize;

use super::{InTurn, in_turn};
use crate::{Effort, row::Row, runner::Runner, tables};

/// Whose guards, and what they do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Guards {
    by: By,
    retires: bool,
    pub(super) backlog: u32,
}

impl Guards {
    fn name(self) -> String {
        let by = self.by.to_possible_value().expect("no value is skipped");
        let what = if self.retires { "with a retirement" } else { "empty" };
        format!("`{}`, {what}", by.get_name())
    }
}

pub(super) fn measure(runner: &mut Runner, effort: Effort) -> Vec<InTurn<Guards, Shrinking>> {
    let backlog = if effort.quick { 10_000 } else { 1_000_000 };
    let rows = [true, false].into_iter().flat_map(|retires| {
        By::value_variants().iter().map(move |&by| Guards { by, retires, backlog })
    });
    in_turn("backlog", effort, rows, |&Guards { by, retires, backlog }| {
        let work = Work::Backlog(Backlog { by, backlog, retires });
        match runner.row(Row::BARE, Geometry::G16x256, work)? {
            Answer::Shrinking(shrinking) => Some(shrinking),
            _ => None,
        }
    })
}

pub(super) fn table(all: &[InTurn<Guards, Shrinking>]) -> String {
    let micros = |took: Duration| Some(took.as_nanos() as f64 / 1000.0);
    let count = |count: u64| Some(count as f64);
    let rows = all.iter().map(|guards| {
        let mut cells = vec![
            guards.row.name(),
            guards.cell(|s| micros(s.longest)),
            guards.cell(|s| count(s.ran_in_longest)),
            guards.cell(|s| count(s.most)),
            // It is zero where no callback ran at all.
            guards.cell(|s| micros(s.first).filter(|_| s.most != 0)),
            guards.cell(|s| Some(s.total.as_nanos() as f64 / s.sections as f64)),
            guards.cell(|s| count(s.sections)),
        ];
        cells.push(match guards.rounds.iter().flatten().map(|s| s.left).max() {
            Some(left) if left != 0 => format!("never: {left} left"),
            _ => guards.cell(|s| micros(s.total).map(|micros| micros / 1000.0)),
        });
        cells
    });
    let header = [
        "sections",
        "the longest, µs",
        "callbacks in it",
        "most callbacks in one",
        "the first that runs any, µs",
        "mean, ns",
        "until it is gone: sections",
        "ms",
    ];
    tables::table(&header, rows)
}
