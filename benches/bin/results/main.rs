//! Measures everything and writes `results/`.
//!
//! Each figure is taken by a process of its own, and the rows of a table take turns, so that
//! whatever else happens on the machine falls on all of them alike.

mod beside;
mod callgrind;
mod everything;
mod glance;
mod machine;
mod matrix;
mod plots;
mod profile;
mod report;
mod row;
mod runner;
mod series;
mod stats;
mod tables;
mod unseen;

use std::{error::Error, fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

use crate::{everything::Everything, machine::Machine, runner::Runner};

/// Measures ptfrag and its peers, and writes tables, plots and raw figures.
///
/// The whole takes up to 20 minutes and writes `results/`.
#[derive(Parser)]
#[command(name = "results")]
struct Args {
    /// Measure shortly, within 2 minutes, and write `target/results-quick/`
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    /// Rounds of everything that is not limited by time.
    pub(crate) rounds: usize,
    /// What a sample of the pair workload is to take.
    pub(crate) sample: Duration,
    /// Rounds of the pair workload, unless the time is up before.
    pub(crate) pair_rounds: usize,
    pub(crate) pair_time: Duration,
}

impl Effort {
    const FULL: Self = Self {
        quick: false,
        rounds: 5,
        sample: Duration::from_millis(20),
        pair_rounds: 11,
        pair_time: Duration::from_secs(600),
    };

    const QUICK: Self = Self {
        quick: true,
        rounds: 1,
        sample: Duration::from_millis(2),
        pair_rounds: 1,
        pair_time: Duration::from_secs(40),
    };
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args.quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(quick: bool) -> Result<(), Box<dyn Error>> {
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let mut runner = Runner::build()?;
    let machine = Machine::look();
    let all = Everything {
        quick,
        pairs: matrix::pairs(&mut runner, effort),
        sharing: matrix::sharing(&mut runner, effort),
        parts: profile::parts(&mut runner, effort),
        counts: profile::counts(&mut runner, effort),
        unseen: unseen::unseen(&mut runner, effort),
        beside: beside::beside(&mut runner, effort),
        cross: series::cross(&mut runner, effort),
        bursts: series::bursts(&mut runner, effort),
        latencies: series::latencies(&mut runner, effort),
        stalls: series::stalls(&mut runner, effort),
        instructions: callgrind::instructions(&mut runner, effort),
        sources: callgrind::sources(&mut runner, effort),
        machine,
        notes: runner.notes(),
    };
    let out = if quick {
        runner.target().join("results-quick")
    } else {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../results"))
    };
    fs::create_dir_all(&out)?;
    all.write(&out)?;
    println!("Written to {}", out.canonicalize()?.display());
    Ok(())
}
