//! How long fragments and pages wait, beside plain heads.

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::{
        epochs::Epochs,
        grace::{Grace, Graces},
    },
};
use serde::Serialize;

use super::{InTurn, in_turn};
use crate::{
    Effort,
    row::Row,
    runner::Runner,
    stats::ratio,
    tables::{self, digits},
};

/// Who allocates what, and who is beside.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    who: Row,
    geometry: Geometry,
    reader: bool,
}

impl Load {
    fn name(self) -> String {
        let beside = if self.reader { "a busy reader beside it" } else { "alone" };
        format!("`{}`, {}, {beside}", self.who, self.geometry)
    }
}

pub(super) fn measure(runner: &mut Runner, effort: Effort) -> Vec<InTurn<Load, Graces>> {
    let pairs = if effort.quick { 50_000 } else { 2_000_000 };
    let mut rows = Vec::new();
    for geometry in [Geometry::G16x256, Geometry::G2x2048] {
        for who in [Row::BARE, Row::SECTION] {
            rows.extend([false, true].map(|reader| Load { who, geometry, reader }));
        }
    }
    in_turn("grace periods", effort, rows, |&Load { who, geometry, reader }| {
        match runner.row(who, geometry, Work::Grace(Grace { reader, pairs }))? {
            Answer::Graces(graces) => Some(graces),
            _ => None,
        }
    })
}

pub(super) fn table(all: &[InTurn<Load, Graces>]) -> String {
    let rows = all.iter().map(|load| {
        let heads = load.figures(|graces| graces.heads.mean());
        let mean = |of: fn(&Graces) -> Epochs| {
            let cell = load.cell(|graces| of(graces).mean());
            match ratio(&load.figures(|graces| of(graces).mean()), &heads) {
                Some(times) => format!("{cell}, x{}", digits(times.median)),
                None => cell,
            }
        };
        let longest = |of: fn(&Graces) -> Epochs| {
            load.cell(|graces| of(graces).mean().map(|_| of(graces).longest as f64))
        };
        vec![
            load.row.name(),
            load.cell(|graces| graces.heads.mean()),
            longest(|graces| graces.heads),
            mean(|graces| graces.frags),
            longest(|graces| graces.frags),
            mean(|graces| graces.pages),
            longest(|graces| graces.pages),
            load.cell(|graces| Some(graces.pages.count as f64)),
        ]
    });
    let header = [
        "epochs",
        "plain head, mean",
        "longest",
        "fragment, mean",
        "longest",
        "page, mean",
        "longest",
        "pages that came home",
    ];
    tables::table(&header, rows)
}
