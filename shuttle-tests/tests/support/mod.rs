//! What the scenes share: the harness that runs them, a page source, a model of RCU, and a ledger
//! that knows who owns which fragment.
//!
//! # Replaying a failure
//! A failing schedule is reported in two ways:
//! - the line `replay: PTFRAG_SHUTTLE_SEED=... cargo test ...` is a command that runs the block of
//!   [`BLOCK`] schedules in which it failed again. It goes straight to standard error, so it is
//!   there even if the failure was a panic inside an RCU callback, which ends the process.
//! - shuttle prints the schedule itself. `shuttle::replay(scene, "...")` in place of the call of
//!   [`explore`] runs just that one.
//!
//! A stray access that ends the process by a signal prints neither. Set `PTFRAG_SHUTTLE_SEED` to
//! any number then, until it happens again.
//!
//! Both work because whatever a scene chooses, it chooses by `shuttle::rand`, and never by an
//! address.
//!
//! # Longer runs
//! `PTFRAG_SHUTTLE_ITERATIONS=x50` multiplies the number of schedules of each test by 50,
//! `PTFRAG_SHUTTLE_ITERATIONS=1000000` sets it.

// Each scene is a program of its own that uses a part of this.
#![allow(dead_code, reason = "each scene uses a part")]

use std::{
    cell::RefCell,
    env,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    panic,
    sync::Once,
    time::Instant,
};

use shuttle::{
    Config, MaxSteps, Runner,
    rand::Rng,
    scheduler::{PctScheduler, RandomScheduler},
};

mod book;
mod ledger;
mod pages;
mod pool;
mod rcu;
mod world;

#[allow(unused_imports, reason = "each scene uses a part")]
pub(crate) use pool::{Held, Place, Pool};
#[allow(unused_imports, reason = "each scene uses a part")]
pub(crate) use rcu::Domain;
pub(crate) use world::World;

/// Bytes of a fragment: the list node fills half of it.
pub(crate) const SIZE: usize = 32;

/// Schedules that share a seed. The PCT scheduler learns a scene's length from the first schedule
/// of a block.
const BLOCK: usize = 100;

/// Steps after which a schedule counts as one that will not end.
const MAX_STEPS: usize = 200_000;

/// How schedules are chosen.
#[derive(Clone, Copy)]
pub(crate) enum Walk {
    /// Any runnable thread at each step.
    Random,
    /// Priorities that change at this many points, less one: finds what needs few, but certain,
    /// preemptions.
    Pct(usize),
}

/// Runs `scene` under `schedules` schedules. `program` and `test` name the test for the line that
/// says how to replay a failure.
pub(crate) fn explore(program: &str, test: &str, walk: Walk, schedules: usize, scene: fn()) {
    report_seeds();
    let start = Instant::now();
    let fixed = env::var("PTFRAG_SHUTTLE_SEED").ok();
    let blocks = if fixed.is_some() { 1 } else { wanted(schedules).div_ceil(BLOCK) };
    for _ in 0..blocks {
        let seed = match &fixed {
            Some(seed) => seed.parse().expect("PTFRAG_SHUTTLE_SEED is a number"),
            None => RandomState::new().hash_one(0),
        };
        let replay = format!(
            "replay: PTFRAG_SHUTTLE_SEED={seed} cargo test -p ptfrag-shuttle --test {program} -- \
             --exact {test}"
        );
        REPLAY.with(|line| *line.borrow_mut() = Some(replay));
        let mut config = Config::new();
        config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
        // The orderings are the loom models' subject.
        config.silence_warnings = true;
        config.ungraceful_shutdown_config.immediately_return_on_panic = true;
        match walk {
            Walk::Random => {
                Runner::new(RandomScheduler::new_from_seed(seed, BLOCK), config).run(scene)
            }
            Walk::Pct(depth) => {
                Runner::new(PctScheduler::new_from_seed(seed, depth, BLOCK), config).run(scene)
            }
        };
    }
    REPLAY.with(|line| line.borrow_mut().take());
    eprintln!("{program} {test}: {} schedules in {:.1?}", blocks * BLOCK, start.elapsed());
}

/// A number below `end`, chosen so that schedules replay.
pub(crate) fn below(end: usize) -> usize {
    shuttle::rand::thread_rng().gen_range(0..end)
}

/// Removes an item, any one; `None` when there is none.
pub(crate) fn pick<T>(items: &mut Vec<T>) -> Option<T> {
    if items.is_empty() { None } else { Some(items.swap_remove(below(items.len()))) }
}

/// Removes up to `most` items.
pub(crate) fn pick_some<T>(items: &mut Vec<T>, most: usize) -> Vec<T> {
    let from = items.len().saturating_sub(most);
    items.split_off(from)
}

/// The number of schedules, as the environment changes it.
fn wanted(schedules: usize) -> usize {
    let Ok(text) = env::var("PTFRAG_SHUTTLE_ITERATIONS") else { return schedules };
    let number = |text: &str| text.parse::<usize>().expect("PTFRAG_SHUTTLE_ITERATIONS is N or xN");
    match text.strip_prefix('x') {
        Some(factor) => schedules * number(factor),
        None => number(&text),
    }
}

thread_local! {
    /// The line that says how to replay the block that this thread is in.
    static REPLAY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has a panic inside a scene print how to replay it.
fn report_seeds() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(line) = REPLAY.with(|line| line.borrow_mut().take()) {
                // Not `eprintln`, which the test harness holds back and loses when the process is
                // aborted. Nothing can be done about an error here.
                let _ = writeln!(io::stderr(), "{info}\n{line}");
            }
            before(info);
        }));
    });
}
