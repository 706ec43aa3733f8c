//! The core of the example program `torture`, for a fixed number of sections.
#![cfg(not(miri))]
#![allow(dead_code, reason = "some of it only the program uses")]

#[path = "../examples/torture/element.rs"]
mod element;
#[path = "../examples/torture/pool.rs"]
mod pool;
#[path = "../examples/torture/reader.rs"]
mod reader;
#[path = "../examples/torture/run.rs"]
mod run;
#[path = "../examples/torture/scene.rs"]
mod scene;
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "../examples/torture/signals.rs")]
#[cfg_attr(
    not(all(target_os = "linux", target_env = "gnu")),
    path = "../examples/torture/no_signals.rs"
)]
mod signals;
#[path = "../examples/torture/stores.rs"]
mod stores;
#[path = "../examples/torture/tally.rs"]
mod tally;
#[path = "../examples/torture/updater.rs"]
mod updater;
#[path = "../examples/torture/visitors.rs"]
mod visitors;

use run::{Plan, Until};

fn torture(asymmetric: bool, signals: bool) {
    let seed = fastrand::u64(..);
    let until = Until::Sections(5_000_000);
    let plan = Plan { until, readers: 4, updaters: 2, asymmetric, signals, seed };
    let outcome = run::run(&plan, |_| {});
    assert_eq!(outcome.verdict, Ok(()), "seed {seed}\n{outcome}");
}

#[test]
fn no_grace_period_is_too_short() {
    torture(false, false);
}

#[test]
fn no_grace_period_is_too_short_under_signals() {
    torture(false, true);
}

#[test]
fn no_grace_period_is_too_short_without_fences() {
    torture(true, true);
}
