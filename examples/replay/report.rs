//! What is printed: a table per trace, or one JSON document for all.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    geometry::Geometry,
    run::Outcome,
    trace::{Level, Op, Trace},
};

/// The JSON document.
#[derive(Serialize)]
pub(crate) struct Document<'a, T> {
    pub(crate) traces: &'a [T],
}

/// A trace's part of it.
#[derive(Serialize)]
pub(crate) struct TraceFigures {
    pub(crate) name: String,
    /// Every event of the trace, the levels that were not replayed included.
    pub(crate) events: usize,
    pub(crate) policies: Vec<PolicyFigures>,
}

#[derive(Serialize)]
pub(crate) struct PolicyFigures {
    pub(crate) name: &'static str,
    pub(crate) pages_peak: u64,
    pub(crate) pages_mean: f64,
    pub(crate) pages_taken: u64,
    pub(crate) lock_acquisitions: u64,
    pub(crate) rcu_calls: u64,
    pub(crate) reused: u64,
}

impl TraceFigures {
    pub(crate) fn new(trace: &Trace, outcomes: &[Outcome]) -> Self {
        let figures = |outcome: &Outcome| PolicyFigures {
            name: outcome.name,
            pages_peak: outcome.pages_peak,
            pages_mean: outcome.pages_mean,
            pages_taken: outcome.tally.taken,
            lock_acquisitions: outcome.tally.lock_acquisitions,
            rcu_calls: outcome.tally.rcu_calls,
            reused: outcome.tally.reused,
        };
        Self {
            name: trace.name.clone(),
            events: trace.events.len(),
            policies: outcomes.iter().map(figures).collect(),
        }
    }
}

/// Names the levels as the command line does.
pub(crate) fn level_names(levels: &[Level]) -> String {
    let name = |level: &Level| match level {
        Level::Pte => "pte",
        Level::Pmd => "pmd",
        Level::Pud => "pud",
        Level::Pgd => "pgd",
    };
    levels.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Says what is replayed: the line above a trace's figures.
pub(crate) fn title(trace: &Trace, levels: &[Level]) -> String {
    let span = trace.events[trace.events.len() - 1].time - trace.events[0].time;
    let tables =
        trace.events.iter().filter(|e| e.op == Op::Alloc && levels.contains(&e.level)).count();
    format!(
        "{}: {} events in {:.1} s, {} mms, {tables} tables ({})\n",
        trace.name,
        trace.events.len(),
        span as f64 / 1e6,
        trace.mms,
        level_names(levels),
    )
}

/// The table of a trace's figures.
pub(crate) fn table(geometry: Geometry, outcomes: &[Outcome]) -> String {
    let Geometry { frags, size } = geometry;
    let mut text = String::new();
    let mut row = |cells: [&str; 9]| {
        let [policy, page, peak, mean, taken, kib, locks, calls, reused] = cells;
        writeln!(
            text,
            "  {policy:<18} {page:>10} {peak:>11} {mean:>7} {taken:>6} {kib:>11} {locks:>10} \
             {calls:>9} {reused:>7}"
        )
        .expect("a string takes everything");
    };
    row([
        "policy",
        "page bytes",
        "pages: peak",
        "mean",
        "taken",
        "KiB at peak",
        "list locks",
        "RCU calls",
        "reused",
    ]);
    for outcome in outcomes {
        let kib = outcome.pages_peak as f64 * outcome.page_bytes as f64 / 1024.0;
        row([
            outcome.name,
            &outcome.page_bytes.to_string(),
            &outcome.pages_peak.to_string(),
            &format!("{:.1}", outcome.pages_mean),
            &outcome.tally.taken.to_string(),
            &format!("{kib:.1}"),
            &outcome.tally.lock_acquisitions.to_string(),
            &outcome.tally.rcu_calls.to_string(),
            &outcome.tally.reused.to_string(),
        ]);
    }
    let note = match frags {
        2 => format!("  Tables of {size} bytes, 2 to a page.\n"),
        _ => format!(
            "  Tables of {size} bytes, {frags} to a page; s390's pages are smaller, it always has 2.\n"
        ),
    };
    text + &note
}
