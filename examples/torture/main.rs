//! A torture test of the built-in RCU domain: readers and updaters of all kinds, and elements that show when a grace
//! period was too short.
//!
//! `cargo run --release --example torture -- --help` lists the options.

mod args;
mod element;
mod pool;
mod reader;
mod run;
mod scene;
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), path = "no_signals.rs")]
mod signals;
mod stores;
mod tally;
mod updater;
mod visitors;

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use args::Args;

/// Steps of the progress bar.
const STEPS: u64 = 1000;

fn main() -> ExitCode {
    let plan = Args::parse().plan();
    println!("seed {}", plan.seed);
    // It shows itself on a terminal only.
    let bar = ProgressBar::new(STEPS);
    let style = ProgressStyle::with_template("{elapsed:>6} {wide_bar} {percent:>3} %");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let outcome = run::run(&plan, |share| bar.set_position((share * STEPS as f64) as u64));
    bar.finish_and_clear();
    print!("{outcome}");
    match outcome.verdict {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("torture: {what}");
            ExitCode::FAILURE
        }
    }
}
