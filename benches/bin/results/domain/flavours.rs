//! Readers with and without a fence.

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::flavours::{Flavours, Sections},
};
use serde::Serialize;

use super::{InTurn, in_turn};
use crate::{Effort, row::Row, runner::Runner, tables};

/// A line of the table.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Load {
    threads: usize,
    every: Option<usize>,
    local: bool,
    asymmetric: bool,
}

pub(super) fn measure(runner: &mut Runner, effort: Effort) -> Vec<InTurn<Load, Sections>> {
    let sections = if effort.quick { 200_000 } else { 5_000_000 };
    let mut loads = Vec::new();
    for threads in [1, 2] {
        for (every, local) in
            [(None, false), (Some(20), true), (Some(20), false), (Some(1), true), (Some(1), false)]
        {
            loads.extend([false, true].map(|asymmetric| Load {
                threads,
                every,
                local,
                asymmetric,
            }));
        }
    }
    in_turn("sections without a fence", effort, loads, |load| {
        let &Load { threads, every, local, asymmetric } = load;
        let sections = if every == Some(1) { sections / 4 } else { sections };
        let work = Work::Flavours(Flavours { asymmetric, threads, every, local, sections });
        match runner.row(Row::BARE, Geometry::G16x256, work)? {
            Answer::Sections(found) if found.as_asked => Some(found),
            _ => None,
        }
    })
}

pub(super) fn table(all: &[InTurn<Load, Sections>]) -> String {
    let rows = all.iter().map(|load| {
        let Load { threads, every, local, asymmetric } = load.row;
        let pairs = every.map_or_else(|| "none".to_owned(), |every| format!("1 in {every}"));
        let through = match every {
            None => "",
            Some(_) if local => "handle",
            Some(_) => "bare",
        };
        vec![
            threads.to_string(),
            pairs,
            through.to_owned(),
            if asymmetric { "asymmetric" } else { "fences" }.to_owned(),
            load.cell(|found| Some(found.ns)),
            load.cell(|found| every.map(|_| found.pages as f64)),
        ]
    });
    let heads = ["threads", "pairs", "through", "domain", "ns a section", "pages at the peak"];
    tables::table(&heads, rows)
}
