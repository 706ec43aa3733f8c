//! What a section costs a thread that uses many domains.

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::domains::Domains,
};

use super::{InTurn, in_turn};
use crate::{Effort, matrix::hundredths, row::Row, runner::Runner, tables};

/// Nanoseconds of a section, by the number of domains.
pub(super) fn measure(runner: &mut Runner, effort: Effort) -> Vec<InTurn<usize, f64>> {
    let sections = if effort.quick { 100_000 } else { 4_000_000 };
    in_turn("many domains", effort, [1, 64, 2048], |&domains| {
        let work = Work::Domains(Domains { domains, sections });
        match runner.row(Row::BARE, Geometry::G16x256, work)? {
            Answer::Timing(timing) => {
                Some(hundredths(timing.run.as_nanos() as f64 / f64::from(sections)))
            }
            _ => None,
        }
    })
}

pub(super) fn table(all: &[InTurn<usize, f64>]) -> String {
    let rows =
        all.iter().map(|domains| vec![domains.row.to_string(), domains.cell(|&ns| Some(ns))]);
    tables::table(&["domains", "ns a section"], rows)
}
