//! The unit tests inside the example program `replay`.
//!
//! An example whose own tests cargo runs is not built as a program by `cargo test`, and
//! `tests/replay.rs` needs the program; so its modules are tested from here.

#![allow(unused, reason = "nothing here uses what only the program's `main` uses")]

#[path = "../examples/replay/args.rs"]
mod args;
#[path = "../examples/replay/cpu.rs"]
mod cpu;
#[path = "../examples/replay/figures.rs"]
mod figures;
#[path = "../examples/replay/geometry.rs"]
mod geometry;
#[path = "../examples/replay/lengths.rs"]
mod lengths;
#[path = "../examples/replay/plot/mod.rs"]
mod plot;
#[path = "../examples/replay/policy/mod.rs"]
mod policy;
#[path = "../examples/replay/report.rs"]
mod report;
#[path = "../examples/replay/run.rs"]
mod run;
#[path = "../examples/replay/threads/mod.rs"]
mod threads;
#[path = "../examples/replay/trace/mod.rs"]
mod trace;
