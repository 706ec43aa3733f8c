//! Cache lines that go from thread to thread at a pair: counted, not timed, and so for more threads than this machine
//! has cores.
//!
//! The threads take turns, a pair each in random order, as if all went on at the same speed. The crate is built with
//! `cfg(ptfrag_lines)` for this: its atomics, its cells and the list's nodes say who writes them.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
};

use ptfrag::Std;
use serde::{Deserialize, Serialize};

use super::pair::Holder;
use crate::{
    allocator::{Allocator, Setup, Sharing},
    who::{Geometry, bare::Bare, local::Locals},
};

/// Who takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lines {
    /// How many threads.
    pub threads: usize,
    /// Their way to the mm.
    pub way: Way,
    /// Blocks that each of them holds: a power of two.
    pub live: usize,
    /// Pairs that are counted, in all.
    pub pairs: u64,
}

/// A way to an mm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Bare, in one lane.
    OneLane,
    /// In four.
    FourLanes,
    /// In sixteen.
    SixteenLanes,
    /// Through handles.
    Handles,
}

/// Events per pair.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// Writes to a cache line that another thread wrote last.
    pub lines: f64,
}

/// Counts.
///
/// # Panics
/// When ptfrag was built without `cfg(ptfrag_lines)`.
#[must_use]
pub fn lines(work: Lines, geometry: Geometry) -> Moved {
    match geometry {
        Geometry::G16x256 => run::<16, 256, 4096>(work),
        Geometry::G16x4096 => run::<16, 4096, 65536>(work),
        Geometry::G4x1024 => run::<4, 1024, 4096>(work),
        Geometry::G2x2048 => run::<2, 2048, 4096>(work),
    }
}

fn run<const N: usize, const SIZE: usize, const PAGE: usize>(work: Lines) -> Moved {
    match work.way {
        Way::OneLane => turns::<Bare<N, SIZE, PAGE, Std<'static, PAGE>>>(work),
        Way::FourLanes => turns::<Bare<N, SIZE, PAGE, Std<'static, PAGE>, 4>>(work),
        Way::SixteenLanes => turns::<Bare<N, SIZE, PAGE, Std<'static, PAGE>, 16>>(work),
        Way::Handles => turns::<Locals<N, SIZE, PAGE, false, Std<'static, PAGE>>>(work),
    }
}

/// Whose turn it is.
struct Turns {
    now: AtomicUsize,
    threads: Mutex<Vec<Option<Thread>>>,
    /// Pairs to be made, by whoever has the turn.
    left: AtomicU64,
    moved: AtomicU64,
}

impl Turns {
    fn wait(&self, me: usize) {
        self.threads.lock().expect("no thread panics with it")[me] = Some(thread::current());
        while self.now.load(Ordering::Acquire) != me {
            thread::park();
        }
    }

    fn pass(&self, next: usize) {
        self.now.store(next, Ordering::Release);
        if let Some(Some(thread)) = self.threads.lock().expect("no thread panics with it").get(next)
        {
            thread.unpark();
        }
    }
}

fn turns<A: Allocator>(work: Lines) -> Moved {
    let Lines { threads, live, pairs, .. } = work;
    let allocator = A::new(Setup { held: live, sharing: Sharing::OneMm });
    let turns = Turns {
        now: AtomicUsize::new(0),
        threads: Mutex::new(vec![None; threads]),
        left: AtomicU64::new(pairs / 4 + pairs),
        moved: AtomicU64::new(0),
    };
    let take_turns = |me: usize| {
        let mut random = fastrand::Rng::with_seed(me as u64);
        turns.wait(me);
        let mut holder = Holder::<_, true>::new(allocator.handle(me), live, me);
        // Each has what it holds before the first pair.
        turns.pass((me + 1) % threads);
        turns.wait(me);
        while turns.left.load(Ordering::Relaxed) != 0 {
            holder.pair();
            let left = turns.left.load(Ordering::Relaxed) - 1;
            turns.left.store(left, Ordering::Relaxed);
            if left == pairs {
                let _ = counted();
            }
            if left == 0 {
                turns.moved.store(counted(), Ordering::Relaxed);
            }
            turns.pass(if left == 0 { 0 } else { random.usize(..threads) });
            turns.wait(me);
        }
        holder.end();
        turns.pass(me + 1);
    };
    let take_turns = &take_turns;
    thread::scope(|scope| {
        (0..threads).for_each(|me| drop(scope.spawn(move || take_turns(me))));
    });
    allocator.quiesce();
    Moved { lines: turns.moved.into_inner() as f64 / pairs as f64 }
}

#[cfg(ptfrag_lines)]
fn counted() -> u64 {
    ptfrag::lines::take()
}

#[cfg(not(ptfrag_lines))]
fn counted() -> u64 {
    panic!("lines are counted in a build with cfg(ptfrag_lines)")
}
