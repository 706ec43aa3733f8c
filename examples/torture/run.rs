//! One run: all threads, until enough has been seen, or something goes wrong.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::{
    element::END,
    reader,
    scene::{self, Scene},
    signals::{self, Post},
    tally::Wrong,
    updater, visitors,
};

/// When a run is over.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    Sections(u64),
}

pub(crate) struct Plan {
    pub(crate) until: Until,
    pub(crate) readers: usize,
    pub(crate) updaters: usize,
    pub(crate) asymmetric: bool,
    pub(crate) signals: bool,
    pub(crate) seed: u64,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) verdict: Result<(), String>,
    sections: u64,
    updates: u64,
    epochs: u64,
    callbacks: u64,
    threads: u64,
    signals: u64,
    stages: Vec<u64>,
    time: Duration,
}

/// How often to look whether it is over.
const TICK: Duration = Duration::from_millis(10);

/// What readers do, in turn.
const KINDS: [&str; 4] = ["tight", "stores", "mixed", "visitors"];

/// Runs all threads. `progress` is told how much of the run is over.
pub(crate) fn run(plan: &Plan, mut progress: impl FnMut(f64)) -> Outcome {
    let visiting = plan.readers / KINDS.len();
    let threads = plan.updaters + plan.readers;
    let domain = scene::domain(plan.asymmetric);
    // The last pool is that of signal handlers.
    let scene = Scene::new(domain, plan.updaters + visiting + 1, threads);
    let posts: Vec<Post> = posts(plan);
    let begin = scene.domain.status();
    let start = Instant::now();
    let mut rng = Rng::with_seed(plan.seed);
    thread::scope(|scope| {
        let (scene, posts) = (&scene, &posts);
        let mut threads = Vec::new();
        for number in 0..plan.readers {
            let (post, rng) = (posts.get(plan.updaters + number), rng.fork());
            let pool = &scene.pools[plan.updaters + number / KINDS.len()];
            let read = move || match KINDS[number % KINDS.len()] {
                "tight" => reader::tight(scene, post, rng),
                "stores" => reader::behind_stores(scene, post, rng),
                "mixed" => reader::mixed(scene, post, rng),
                _ => visitors::visitors(scene, pool, post, rng),
            };
            threads.push(scope.spawn(read));
        }
        for number in 0..plan.updaters {
            let (post, rng) = (posts.get(number), rng.fork());
            threads
                .push(scope.spawn(move || updater::update(scene, &scene.pools[number], post, rng)));
        }
        if !posts.is_empty() {
            let rng = rng.fork();
            threads.push(scope.spawn(move || signals::send(scene, posts, rng)));
        }
        loop {
            let share = match plan.until {
                Until::Time(time) => start.elapsed().as_secs_f64() / time.as_secs_f64(),
                Until::Sections(sections) => scene.totals.sections() as f64 / sections as f64,
            };
            progress(share);
            // A thread that ends before has panicked.
            if share >= 1. || scene.is_over() || threads.iter().any(|thread| thread.is_finished()) {
                break scene.end();
            }
            thread::sleep(TICK);
        }
    });
    // An element's callback queues it again.
    (0..=END).for_each(|_| scene.domain.barrier());
    if !scene.is_settled() {
        scene.totals.complain(Wrong::Lost, 0);
    }
    let end = scene.domain.status();
    let count = |total: &AtomicU64| total.load(Ordering::Relaxed);
    Outcome {
        verdict: scene.totals.verdict(),
        sections: scene.totals.sections(),
        updates: scene.totals.updates(),
        epochs: end.epoch - begin.epoch,
        callbacks: end.ran,
        threads: count(&scene.totals.threads),
        signals: count(&scene.totals.signals),
        stages: scene.totals.stages().into(),
        time: start.elapsed(),
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn posts(plan: &Plan) -> Vec<Post> {
    let threads = if plan.signals { plan.updaters + plan.readers } else { 0 };
    (0..threads).map(|_| Post::new()).collect()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn posts(_: &Plan) -> Vec<Post> {
    Vec::new()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        let mut row = |what, count: u64| {
            writeln!(f, "{what:<22} {count:>14} {:>12.0} a second", count as f64 / seconds)
        };
        row("sections", self.sections)?;
        row("updates", self.updates)?;
        row("steps of the epoch", self.epochs)?;
        row("callbacks", self.callbacks)?;
        row("threads that came", self.threads)?;
        row("signals", self.signals)?;
        let kinds = ["published", "unlinked"].into_iter();
        let names = kinds.chain(std::iter::repeat("TOO OLD"));
        for ((stage, count), name) in self.stages.iter().enumerate().zip(names) {
            if stage < 2 || *count != 0 {
                writeln!(f, "seen at stage {stage:<2} {count:>20} {name}")?;
            }
        }
        Ok(())
    }
}
