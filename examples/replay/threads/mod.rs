//! The replay with threads: one for each recorded CPU, and two that walk the tables meanwhile.
//!
//! This is the scene for which fragments were thought out: page-table walks that take no lock,
//! against tables that are removed, whose memory soon holds another table. Everything here is the
//! crate as it comes, with its own RCU, page source and lock.

mod plan;
mod scene;
mod stamp;
mod walker;

use std::{
    io,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use ptfrag::{Domain, Region};
use serde::Serialize;

use crate::trace::{Level, Trace};
use plan::Plan;
use scene::Scene;

const WALKERS: usize = 2;

/// More recorded CPUs than this are refused: each is a thread.
const CPUS_MAX: usize = 256;

/// Rounds of waiting for callbacks at the end. A page needs at most three grace periods to come
/// home (those of its last two retires, and its own), so that many more mean that it is lost.
const ROUNDS: usize = 100;

/// What a trace's replay with threads came to.
#[derive(Serialize)]
pub(crate) struct Figures {
    name: String,
    /// Every event of the trace, the levels that were not replayed included.
    events: usize,
    /// One for each recorded CPU.
    threads: usize,
    walkers: usize,
    pub(crate) events_per_second: f64,
    pub(crate) walks_per_second: f64,
    /// Tables that were found through the map and verified twice.
    pub(crate) walks: u64,
    /// Look-ups that met an empty slot.
    pub(crate) misses: u64,
    pub(crate) pages_taken: u64,
    pub(crate) pages_left: usize,
}

/// Replays `trace` with threads, in fragments of `SIZE` bytes.
///
/// # Errors
/// A wrong stamp, or a page that does not come home.
pub(crate) fn run<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    trace: &Trace,
    levels: &[Level],
    bar: &ProgressBar,
) -> Result<Figures, String> {
    let failed = |what: String| format!("{}: {what}", trace.name);
    let plan = Plan::new(trace, levels);
    if plan.cpus.len() > CPUS_MAX {
        return Err(failed(format!("{} CPUs, more than {CPUS_MAX} threads", plan.cpus.len())));
    }
    let region = region::<PAGE>(&plan).map_err(|e| failed(format!("no memory for pages: {e}")))?;
    let domain = Domain::global();
    let scene = Scene::<FRAGS, SIZE, PAGE>::new(&plan, &trace.numbers, domain, region.clone());

    let elapsed = play(&scene, bar);
    let (walks, misses) = scene.counts();
    if let Some(what) = scene.failure() {
        return Err(failed(what));
    }
    drop(scene);

    for _ in 0..ROUNDS {
        if region.pages_out() == 0 {
            break;
        }
        domain.barrier();
    }
    let pages_left = region.pages_out();
    if pages_left != 0 {
        return Err(failed(format!("{pages_left} pages are not back at their source")));
    }
    let seconds = elapsed.as_secs_f64().max(1e-9);
    Ok(Figures {
        name: trace.name.clone(),
        events: trace.events.len(),
        threads: plan.cpus.len(),
        walkers: WALKERS,
        events_per_second: plan.steps.len() as f64 / seconds,
        walks_per_second: walks as f64 / seconds,
        walks,
        misses,
        pages_taken: region.pages_taken(),
        pages_left,
    })
}

/// A region that cannot run out: no more pages are ever held than tables were allocated.
fn region<const PAGE: usize>(plan: &Plan) -> io::Result<Region<PAGE>> {
    Region::new(plan.places.iter().flatten().count().max(1))
}

/// Runs all threads to their ends; returns how long the events took.
fn play<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    scene: &Scene<'_, FRAGS, SIZE, PAGE>,
    bar: &ProgressBar,
) -> Duration {
    thread::scope(|scope| {
        let walkers: Vec<_> = (0..WALKERS)
            .map(|seed| scope.spawn(move || scene.watched(|| walker::walk(scene, seed as u64))))
            .collect();
        let begin = Instant::now();
        let cpus: Vec<_> = (0..scene.plan.cpus.len())
            .map(|cpu| scope.spawn(move || scene.watched(|| scene.replay(cpu, bar))))
            .collect();
        for cpu in cpus {
            // A panic has been recorded as the scene's failure.
            let _ = cpu.join();
        }
        let elapsed = begin.elapsed();
        // What the trace leaves alive goes while the walkers still look.
        scene.watched(|| scene.end());
        scene.stop.store(true, Ordering::Relaxed);
        for walker in walkers {
            let _ = walker.join();
        }
        elapsed
    })
}
