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
    fmt, io,
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

/// A trace is over in some milliseconds; it is replayed again until this long has passed, so that
/// the walkers get somewhere.
const LASTS: Duration = Duration::from_secs(1);

/// How often to wait for callbacks at the end of a round. A page needs a few grace periods to come
/// home (those of its last two retires, and its own), so that one still out after many is lost.
const BARRIERS: usize = 100;

/// What a trace's replay with threads came to.
#[derive(Serialize)]
pub(crate) struct Figures {
    name: String,
    /// Every event of the trace, the levels that were not replayed included.
    events: usize,
    /// One for each recorded CPU.
    threads: usize,
    /// Whether these have handles.
    handles: bool,
    walkers: usize,
    /// How often the trace was replayed. What follows is of all rounds.
    rounds: u64,
    events_per_second: f64,
    walks_per_second: f64,
    /// Tables that were found through the map and verified twice.
    walks: u64,
    /// Look-ups that met an empty slot.
    misses: u64,
    pages_taken: u64,
    pages_left: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what, value: String| writeln!(f, "  {what:<18} {value:>12}");
        row("threads", format!("{} + {}", self.threads, self.walkers))?;
        row("handles", if self.handles { "one per CPU" } else { "none" }.to_owned())?;
        row("rounds", self.rounds.to_string())?;
        row("events per second", format!("{:.0}", self.events_per_second))?;
        row("walks per second", format!("{:.0}", self.walks_per_second))?;
        row("walks", self.walks.to_string())?;
        row("look-ups in vain", self.misses.to_string())?;
        row("pages taken", self.pages_taken.to_string())?;
        row("pages left", self.pages_left.to_string())
    }
}

/// Replays `trace` with threads, in fragments of `SIZE` bytes, round after round. The threads of
/// the CPUs use handles, unless `bare`.
///
/// # Errors
/// A wrong stamp, or a page that does not come home.
pub(crate) fn run<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    trace: &Trace,
    levels: &[Level],
    bare: bool,
    bar: &ProgressBar,
) -> Result<Figures, String> {
    let failed = |what: String| format!("{}: {what}", trace.name);
    let plan = Plan::new(trace, levels);
    if plan.cpus.len() > CPUS_MAX {
        return Err(failed(format!("{} CPUs, more than {CPUS_MAX} threads", plan.cpus.len())));
    }
    let region = region::<PAGE>(&plan).map_err(|e| failed(format!("no memory for pages: {e}")))?;
    let domain = Domain::global();

    let mut elapsed = Duration::ZERO;
    let (mut rounds, mut walks, mut misses) = (0, 0, 0);
    while elapsed < LASTS {
        let seed = WALKERS as u64 * rounds;
        let scene = Scene::<FRAGS, SIZE, PAGE>::new(&plan, &trace.numbers, domain, region.clone());
        elapsed += play(&scene, bare, seed);
        rounds += 1;
        walks += scene.walks.load(Ordering::Relaxed);
        misses += scene.misses.load(Ordering::Relaxed);
        if let Some(what) = scene.failure() {
            return Err(failed(what));
        }
        drop(scene);
        for _ in 0..BARRIERS {
            if region.pages_out() == 0 {
                break;
            }
            domain.barrier();
        }
        let left = region.pages_out();
        if left != 0 {
            return Err(failed(format!("{left} pages are not back at their source")));
        }
        if plan.steps.is_empty() {
            break;
        }
    }
    bar.inc(trace.events.len() as u64);
    let per_second = |n: u64| n as f64 / elapsed.as_secs_f64().max(1e-9);
    Ok(Figures {
        name: trace.name.clone(),
        events: trace.events.len(),
        threads: plan.cpus.len(),
        handles: !bare,
        walkers: WALKERS,
        rounds,
        events_per_second: per_second(plan.steps.len() as u64 * rounds),
        walks_per_second: per_second(walks),
        walks,
        misses,
        pages_taken: region.pages_taken(),
        pages_left: region.pages_out(),
    })
}

/// A region that cannot run out: no more pages are ever held than tables were allocated.
fn region<const PAGE: usize>(plan: &Plan) -> io::Result<Region<PAGE>> {
    Region::new(plan.places.iter().flatten().count().max(1))
}

/// Plays one round: runs all threads to their ends. Returns how long it took.
fn play<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    scene: &Scene<'_, FRAGS, SIZE, PAGE>,
    bare: bool,
    seed: u64,
) -> Duration {
    let begin = Instant::now();
    thread::scope(|scope| {
        for walker in 0..WALKERS as u64 {
            scope.spawn(move || scene.watched(|| walker::walk(scene, seed + walker)));
        }
        let cpus: Vec<_> = (0..scene.plan.cpus.len())
            .map(|cpu| scope.spawn(move || scene.watched(|| scene.replay(cpu, bare))))
            .collect();
        for cpu in cpus {
            // A panic has been recorded as the scene's failure.
            let _ = cpu.join();
        }
        // What the trace leaves alive goes while the walkers still look.
        scene.watched(|| scene.end());
        scene.stop.store(true, Ordering::Relaxed);
    });
    begin.elapsed()
}
