//! The replay in trace time: every trace on this thread, with every length of grace periods and under
//! every policy.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;

use crate::{
    Failure,
    args::Args,
    figures::{GraceFigures, TraceFigures},
    geometry::{Geometry, dispatch},
    lengths, plot,
    policy::{Plain, Powerpc, Ptfrag, S390},
    print, print_json, project, report,
    run::{self, Outcome, Rules},
    trace::Trace,
};

/// How many policies a trace is replayed under.
pub(crate) const POLICIES: usize = 5;

pub(crate) fn run(
    args: &Args,
    geometry: Geometry,
    traces: &[Trace],
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let mut figures = Vec::new();
    for trace in traces {
        bar.set_message(trace.name.clone());
        figures.push(one(args, geometry, trace, bar)?);
    }
    if !args.no_plot && args.grace_us.len() > 1 {
        let picture = picture(plot::grace::NAME);
        draw(&picture, || plot::grace::write(&picture, &figures))?;
        if !args.json {
            print(bar, &format!("Picture: {}\n", shown(&picture)))?;
        }
    }
    bar.finish_and_clear();
    if args.json { print_json(&figures) } else { Ok(()) }
}

/// Replays one trace, and draws and prints what is to be of it.
fn one(
    args: &Args,
    geometry: Geometry,
    trace: &Trace,
    bar: &ProgressBar,
) -> Result<TraceFigures, Failure> {
    let mut shortest = None;
    let mut graces = Vec::with_capacity(args.grace_us.len());
    for &grace in &args.grace_us {
        let rules = Rules { levels: &args.levels, grace };
        let outcomes = policies(rules, geometry, trace, bar).map_err(Failure::Run)?;
        graces.push(GraceFigures::new(grace, &outcomes));
        // The curves of the others are not drawn, and large.
        shortest.get_or_insert((grace, outcomes));
    }
    let mut text = report::title(trace, &args.levels);
    if let Some((grace, outcomes)) = shortest {
        text += &report::table(geometry, grace, &outcomes);
        text += &lengths::table(&graces);
        if !args.no_plot {
            let picture = picture(&trace.name);
            draw(&picture, || plot::time::write(&picture, trace, &args.levels, &outcomes))?;
            text += &format!("  Picture: {}\n", shown(&picture));
        }
    }
    if !args.json {
        print(bar, &(text + "\n"))?;
    }
    Ok(TraceFigures::new(trace.name.clone(), trace.events.len(), graces))
}

fn policies(
    rules: Rules<'_>,
    geometry: Geometry,
    trace: &Trace,
    bar: &ProgressBar,
) -> Result<[Outcome; POLICIES], String> {
    let Geometry { frags, size } = geometry;
    let (mms, tables) = (trace.mms, trace.tables);
    let [bare, per_cpu] = dispatch!(geometry, ptfrag(trace, rules, bar))?;
    Ok([
        run::run(trace, rules, Plain::new(geometry.page()), bar)?,
        run::run(trace, rules, Powerpc::new(frags, size, mms, tables), bar)?,
        run::run(trace, rules, S390::new(size, mms, tables), bar)?,
        bare,
        per_cpu,
    ])
}

/// The runs of this crate's own policy: without and with handles.
fn ptfrag<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    trace: &Trace,
    rules: Rules<'_>,
    bar: &ProgressBar,
) -> Result<[Outcome; 2], String> {
    let run = |policy: io::Result<Ptfrag<FRAGS, SIZE, PAGE>>| {
        let failed = |e| format!("{}: no memory for pages: {e}", trace.name);
        run::run(trace, rules, policy.map_err(failed)?, bar)
    };
    let (mms, tables) = (trace.mms, trace.tables);
    Ok([run(Ptfrag::new(mms, tables))?, run(Ptfrag::per_cpu(mms, tables))?])
}

/// Where the picture of that name belongs.
fn picture(name: &str) -> PathBuf {
    project().join("results").join(format!("replay-{name}.svg"))
}

/// A path as it is printed: from here, if it lies here.
fn shown(picture: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    picture.strip_prefix(here).unwrap_or(picture).display().to_string()
}

/// Draws a picture, in a folder that need not be there yet.
fn draw(picture: &Path, write: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<(), Failure> {
    let failed = |what: String| Failure::Run(format!("{}: {what}", picture.display()));
    if let Some(folder) = picture.parent() {
        fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
    }
    write().map_err(|e| failed(e.to_string()))
}
