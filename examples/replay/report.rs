//! What is printed of a trace: what it is, and the large table of one length of grace periods.

use std::fmt::Write;

use crate::{
    geometry::Geometry,
    lengths,
    run::Outcome,
    trace::{Level, Op, Trace},
};

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

/// The table of a trace's figures, with grace periods of that length in microseconds.
pub(crate) fn table(geometry: Geometry, grace: u64, outcomes: &[Outcome]) -> String {
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
    let smaller = if frags == 2 { "" } else { "; s390's pages are smaller, it always has 2" };
    let took = match grace {
        0 => "no time".to_owned(),
        us => lengths::name(us),
    };
    writeln!(
        text,
        "  Tables of {size} bytes, {frags} to a page{smaller}. Grace periods take {took}."
    )
    .expect("a string takes everything");
    text
}
