//! How long plain heads wait in the built-in domain, in epochs: under steady load, and behind a backlog that a
//! reader has left.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use ptfrag::Domain;
use serde::{Deserialize, Serialize};

use super::epochs::{Epochs, Tally, call};

/// The load: one thread, a section and a call in it each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waits {
    /// Whether a reader beside it enters sections and leaves them without a pause.
    pub reader: bool,
    /// Rounds while another reader stalls, before the others.
    pub backlog: u32,
    /// Rounds, at least: they go on until the heads of those before have run.
    pub rounds: u32,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Waited {
    /// Heads that were queued while the reader stalled.
    pub backlog: Epochs,
    /// Heads that were queued afterwards.
    pub steady: Epochs,
}

/// Does the work.
///
/// # Panics
/// When a reader does.
#[must_use]
pub fn waits(work: Waits) -> Waited {
    let domain = Domain::global();
    let [backlog, steady, rest] = [(); 3].map(|()| Tally::leaked());
    let round = |tally| {
        let guard = domain.read();
        call(tally);
        drop(guard);
    };
    let (turn, done) = (&Barrier::new(2), &AtomicBool::new(false));
    thread::scope(|scope| {
        if work.backlog != 0 {
            let stalled = scope.spawn(move || {
                let _section = domain.read();
                turn.wait();
                turn.wait();
            });
            turn.wait();
            for _ in 0..work.backlog {
                round(backlog);
            }
            turn.wait();
            stalled.join().expect("the reader panicked");
        }
        if work.reader {
            scope.spawn(move || {
                turn.wait();
                while !done.load(Ordering::Relaxed) {
                    drop(black_box(domain.read()));
                }
            });
            turn.wait();
        }
        let mut rounds = 0;
        while rounds < u64::from(work.rounds) || backlog.count() < u64::from(work.backlog) {
            round(steady);
            rounds += 1;
        }
        // The load goes on, or those that wait for long would not count.
        while steady.count() < rounds {
            round(rest);
        }
        done.store(true, Ordering::Relaxed);
    });
    Waited { backlog: backlog.epochs(), steady: steady.epochs() }
}
