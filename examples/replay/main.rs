//! Replays recorded page-table traces under four ways of placing tables in pages: one page per
//! table, the way of Linux's powerpc, the way of its s390, and this crate, without and with a
//! handle for each CPU.
//!
//! `cargo run --release --example replay -- --help` lists the options.

mod args;
mod cpu;
mod figures;
mod geometry;
mod lengths;
mod plot;
mod policy;
mod report;
mod run;
mod single;
mod threads;
mod trace;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};

use args::Args;
use figures::Document;
use geometry::{Geometry, dispatch};
use threads::run as run_threads;
use trace::{Trace, TraceError};

/// Why the program ends early.
enum Failure {
    /// The input cannot be used.
    Trace(TraceError),
    /// The replay, or writing its results, went wrong.
    Run(String),
    /// Whoever reads our standard output has seen enough.
    Closed,
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Run(format!("standard output: {e}")),
        }
    }
}

fn main() -> ExitCode {
    let (args, geometry) = Args::read();
    let (what, code) = match replay(&args, geometry) {
        Ok(()) | Err(Failure::Closed) => return ExitCode::SUCCESS,
        Err(Failure::Trace(e)) => (e.to_string(), 2),
        Err(Failure::Run(what)) => (what, 1),
    };
    // With standard error gone as well there is nobody left to tell.
    let _ = writeln!(io::stderr(), "replay: {what}");
    ExitCode::from(code)
}

fn replay(args: &Args, geometry: Geometry) -> Result<(), Failure> {
    let traces = load(args)?;
    let events: usize = traces.iter().map(|trace| trace.events.len()).sum();
    if args.threads {
        threaded(args, geometry, &traces, &progress(events))
    } else {
        let runs = single::POLICIES * args.grace_us.len();
        single::run(args, geometry, &traces, &progress(runs * events))
    }
}

/// The project's own folder: of the checkout that cargo runs, or the one this was built in.
fn project() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")))
        .into()
}

/// Reads every trace before anything else is done, so that a bad one leaves nothing half done.
fn load(args: &Args) -> Result<Vec<Trace>, Failure> {
    let paths = if args.trace.is_empty() { shipped()? } else { args.trace.clone() };
    let mut traces = Vec::with_capacity(paths.len());
    for path in &paths {
        let mut trace = trace::load(path).map_err(Failure::Trace)?;
        // Files of one name in different folders stay apart, in the output and as pictures, and so
        // does a trace from the picture of all.
        let name = trace.name.clone();
        for n in 2.. {
            let is_free = |other: &Trace| other.name != trace.name;
            if trace.name != plot::grace::NAME && traces.iter().all(is_free) {
                break;
            }
            trace.name = format!("{name}-{n}");
        }
        traces.push(trace);
    }
    Ok(traces)
}

/// The traces that come with the repository, and not with the published package.
fn shipped() -> Result<Vec<PathBuf>, Failure> {
    let folder = project().join("traces");
    if !folder.is_dir() {
        return Err(Failure::Run(format!(
            "{}: there is no such folder: the recorded traces come with the repository and not with \
             the published package. Put them there, or name traces on the command line",
            folder.display()
        )));
    }
    let unreadable = |e| Failure::Run(format!("{}: {e}", folder.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.to_string_lossy().ends_with(".trace.gz") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Failure::Run(format!("{}: no traces", folder.display())));
    }
    paths.sort();
    Ok(paths)
}

/// A progress bar over so many events. It shows itself on a terminal only.
fn progress(events: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {percent:>3} %");
    let bar = ProgressBar::new(events as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Replays with threads, under this crate's policy alone.
fn threaded(
    args: &Args,
    geometry: Geometry,
    traces: &[Trace],
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut figures = Vec::new();
    for trace in traces {
        bar.set_message(trace.name.clone());
        let one = dispatch!(geometry, run_threads(trace, &args.levels, args.bare, bar))
            .map_err(Failure::Run)?;
        if !args.json {
            print(bar, &(report::title(trace, &args.levels) + &one.to_string() + "\n"))?;
        }
        figures.push(one);
    }
    bar.finish_and_clear();
    if args.json { print_json(&figures) } else { Ok(()) }
}

/// Prints to standard output, past the bar.
fn print(bar: &ProgressBar, text: &str) -> Result<(), Failure> {
    bar.suspend(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    })?;
    Ok(())
}

fn print_json<T: serde::Serialize>(traces: &[T]) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(&Document { traces })
        .map_err(|e| Failure::Run(e.to_string()))?;
    text.push('\n');
    print(&ProgressBar::hidden(), &text)
}
