//! How long plain heads wait, in epochs.

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::{
        epochs::Epochs,
        waits::{Waited, Waits},
    },
};
use serde::Serialize;

use super::{InTurn, in_turn};
use crate::{Effort, row::Row, runner::Runner, tables};

/// Who is beside the thread, and how many heads a reader has left behind.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    reader: bool,
    backlog: u32,
}

impl Load {
    fn name(self) -> String {
        match self {
            Self { reader: false, backlog: 0 } => "steady, alone".to_owned(),
            Self { reader: true, backlog: 0 } => "steady, a busy reader beside it".to_owned(),
            Self { backlog, .. } => format!("{backlog} queued while a reader stalls: these"),
        }
    }
}

pub(super) fn measure(runner: &mut Runner, effort: Effort) -> Vec<InTurn<Load, Waited>> {
    let (rounds, backlogs) =
        if effort.quick { (50_000, [1000, 10_000]) } else { (2_000_000, [100_000, 1_000_000]) };
    let steady = [false, true].map(|reader| Load { reader, backlog: 0 });
    let behind = backlogs.map(|backlog| Load { reader: false, backlog });
    in_turn("waits", effort, steady.into_iter().chain(behind), |&Load { reader, backlog }| {
        let rounds = if backlog == 0 { rounds } else { 0 };
        let work = Work::Waits(Waits { reader, backlog, rounds });
        match runner.row(Row::BARE, Geometry::G16x256, work)? {
            Answer::Waited(waited) => Some(waited),
            _ => None,
        }
    })
}

pub(super) fn table(all: &[InTurn<Load, Waited>]) -> String {
    let mut rows = Vec::new();
    for load in all {
        let mut line = |name, of: fn(&Waited) -> Epochs| {
            rows.push(vec![
                name,
                load.cell(|waited| Some(of(waited).count as f64)),
                load.cell(|waited| of(waited).mean()),
                load.cell(|waited| Some(of(waited).longest as f64)),
            ]);
        };
        if load.row.backlog == 0 {
            line(load.row.name(), |waited| waited.steady);
        } else {
            line(load.row.name(), |waited| waited.backlog);
            line("queued after it has left, until these are gone".to_owned(), |waited| {
                waited.steady
            });
        }
    }
    tables::table(&["heads", "how many", "epochs, mean", "epochs, longest"], rows)
}
