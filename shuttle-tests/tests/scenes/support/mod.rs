//! What the scenes share: the harness that runs them, a page source, RCU, and a ledger that knows
//! who owns which fragment.
//!
//! # Walks
//! Each scene runs under four walks (random, PCT of depth 3 and 5, uniform), and for each of them
//! prints a line on standard error:
//! `scene <scene>::<test>: <schedules> schedules, <scheduler>, <seconds> s`.
//!
//! # What is checked, and when
//! The ledger is asked whenever a scene takes, frees, publishes or reads, and by every hook. At the
//! end of each operation the words of all pages that it may have changed are compared with the
//! ledger, wherever the other threads are: those of the mm in which something was taken, given back,
//! retired, shown or let go of, or which was closed or dropped; and those of all mms after a batch,
//! a retirement through a handle, and a grace period by which callbacks ran. The operations do it
//! themselves, so no scene can forget it, and the scheduler is not asked meanwhile, so it is no step
//! of the schedule.
//!
//! `compare` has the rules. In short: what somebody has is used; what was retired waits; nothing is
//! free or waits against the ledger; what is free there is used only while a thread is taking or
//! freeing it, or a handle has it; and a page is listed exactly while its mm is open and something
//! is free. When no other thread is left, [`Pool::agree`] wants the words to say just what the
//! ledger says.
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
//! address. That the printed command does replay is itself tested, with scenes that are wrong on
//! purpose.
//!
//! # Longer runs
//! `PTFRAG_SHUTTLE_ITERATIONS=x50` multiplies the number of schedules of each test by 50,
//! `PTFRAG_SHUTTLE_ITERATIONS=1000000` sets it. An ordinary run has about a million schedules in all,
//! which take two to three minutes on two cores. The long run,
//! ```sh
//! PTFRAG_SHUTTLE_ITERATIONS=x10 cargo test -p ptfrag-shuttle
//! ```
//! has more than ten million, and takes about half an hour. The PCT walks have most of them: the
//! faults that hide best are found by certain preemptions, after thousands of schedules.

use std::{
    cell::{Cell, RefCell},
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
    scheduler::{PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler},
};

mod book;
mod compare;
mod domain;
mod handle;
mod held;
mod hooks;
mod ledger;
mod lock;
mod model;
mod pages;
mod place;
mod pool;
mod steady;
mod witness;
mod world;

pub(crate) use domain::Domain;
pub(crate) use handle::Handle;
pub(crate) use held::Held;
pub(crate) use lock::{Gate, Stop, stop_in_next_hold};
pub(crate) use place::{Place, Seen};
pub(crate) use pool::Pool;
use steady::Steady;
pub(crate) use world::World;

/// Bytes of a fragment: the list node fills half of it.
pub(crate) const SIZE: usize = 32;

/// Schedules that share a seed. The schedulers that plan ahead learn a scene's length from the
/// first schedule of a block.
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
    /// Every interleaving as likely as any other, as far as the lengths of the threads can be told
    /// beforehand.
    Uniform,
}

/// Declares the tests of a scene: one for each walk, in a module of the given name. The two numbers
/// are the schedules of the random and the uniform walk, and those of each of the PCT walks.
macro_rules! walks {
    ($name:ident, $even:expr, $pct:expr, $scene:expr) => {
        mod $name {
            use crate::support::{Walk, explore};

            #[test]
            fn random() {
                explore(concat!(module_path!(), "::random"), Walk::Random, $even, $scene);
            }

            #[test]
            fn pct_3() {
                explore(concat!(module_path!(), "::pct_3"), Walk::Pct(3), $pct, $scene);
            }

            #[test]
            fn pct_5() {
                explore(concat!(module_path!(), "::pct_5"), Walk::Pct(5), $pct, $scene);
            }

            #[test]
            fn uniform() {
                explore(concat!(module_path!(), "::uniform"), Walk::Uniform, $even, $scene);
            }
        }
    };
}
pub(crate) use walks;

/// Runs `scene` under `schedules` schedules. `path` is the test's, with the name of its program.
pub(crate) fn explore(path: &str, walk: Walk, schedules: usize, scene: fn()) {
    report_seeds();
    let (program, test) = path.split_once("::").expect("a program and a test in it");
    let start = Instant::now();
    BEGUN.set(0);
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
        REPLAY.set(Some(replay));
        match walk {
            Walk::Random => run(RandomScheduler::new_from_seed(seed, BLOCK), scene),
            Walk::Pct(depth) => run(PctScheduler::new_from_seed(seed, depth, BLOCK), scene),
            Walk::Uniform => run(UrwRandomScheduler::new_from_seed(seed, BLOCK), scene),
        }
    }
    REPLAY.with(|line| line.borrow_mut().take());
    let scheduler = match walk {
        Walk::Random => "random".to_owned(),
        Walk::Pct(depth) => format!("pct {depth}"),
        Walk::Uniform => "uniform".to_owned(),
    };
    say(format_args!(
        "scene {test}: {} schedules, {scheduler}, {:.1} s",
        blocks * BLOCK,
        start.elapsed().as_secs_f64()
    ));
}

fn run(scheduler: impl Scheduler + 'static, scene: fn()) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    // The orderings are the loom models' subject.
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    Runner::new(Steady(scheduler), config).run(move || {
        BEGUN.set(BEGUN.get() + 1);
        scene();
    });
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

/// The items in any order.
pub(crate) fn shuffled<T>(mut items: Vec<T>) -> Vec<T> {
    for at in 1..items.len() {
        items.swap(at, below(at + 1));
    }
    items
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
    /// Which schedule of its walk this thread is in.
    static BEGUN: Cell<usize> = const { Cell::new(0) };
    /// The line that says how to replay the block that this thread is in.
    static REPLAY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Writes a line where the test harness does not hold it back, nor loses it when the process is
/// aborted.
fn say(line: std::fmt::Arguments<'_>) {
    // Nothing can be done about an error here.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Has a panic inside a scene print how to replay it.
fn report_seeds() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(line) = REPLAY.with(|line| line.borrow_mut().take()) {
                say(format_args!("{info}\nin schedule {} of this walk\n{line}", BEGUN.get()));
            }
            before(info);
        }));
    });
}
