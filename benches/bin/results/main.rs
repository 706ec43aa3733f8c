//! Measures everything and writes `results/`.
//!
//! Each figure is taken by a process of its own, and the rows of a table take turns, so that
//! whatever else happens on the machine falls on all of them alike.

mod beside;
mod callgrind;
mod domain;
mod everything;
mod glance;
mod lines;
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

use crate::{domain::OfDomain, everything::Everything, machine::Machine, runner::Runner};

/// Measures ptfrag and its peers, and writes tables, plots and raw figures.
///
/// The whole takes up to 20 minutes and writes `results/`.
#[derive(Parser)]
#[command(name = "results")]
struct Args {
    /// Measure shortly, within 2 minutes, and write `target/results-quick/`
    #[arg(long)]
    quick: bool,
    /// Measure the built-in domain alone, and write its page only
    #[arg(long)]
    domain: bool,
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
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let quick = args.quick;
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let mut runner = Runner::build()?;
    let machine = Machine::look();
    let out = if quick {
        runner.target().join("results-quick")
    } else {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../results"))
    };
    fs::create_dir_all(&out)?;
    let domain = domain::domain(&mut runner, effort);
    if args.domain {
        let notes = runner.notes();
        let all = Everything { quick, machine, notes, domain, ..Everything::default() };
        all.write_domain(&out)?;
    } else {
        everything(&mut runner, effort, machine, domain).write(&out)?;
    }
    println!("Written to {}", out.canonicalize()?.display());
    Ok(())
}

/// Measures the rest.
fn everything(
    runner: &mut Runner,
    effort: Effort,
    machine: Machine,
    domain: OfDomain,
) -> Everything {
    Everything {
        quick: effort.quick,
        domain,
        pairs: matrix::pairs(runner, effort),
        sharing: matrix::sharing(runner, effort),
        parts: profile::parts(runner, effort),
        counts: profile::counts(runner, effort),
        lines: lines::lines(runner, effort),
        unseen: unseen::unseen(runner, effort),
        beside: beside::beside(runner, effort),
        cross: series::cross(runner, effort),
        bursts: series::bursts(runner, effort),
        latencies: series::latencies(runner, effort),
        stalls: series::stalls(runner, effort),
        instructions: callgrind::instructions(runner, effort),
        sources: callgrind::sources(runner, effort),
        machine,
        notes: runner.notes(),
    }
}
