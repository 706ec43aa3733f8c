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
    /// Rounds while another reader stalls. What comes after that goes on until the heads of these have run.
    pub backlog: u32,
    /// Rounds after that, at least.
    pub rounds: u32,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Waited {
    /// Heads that were queued while the reader stalled.
    pub backlog: Epochs,
    /// Heads that were queued afterwards, as far as they have run.
    pub steady: Epochs,
}

/// Does the work.
///
/// # Panics
/// When a reader does.
#[must_use]
pub fn waits(work: Waits) -> Waited {
    let domain = Domain::global();
    let (backlog, steady) = (Tally::leaked(), Tally::leaked());
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
        while rounds < work.rounds || backlog.count() < u64::from(work.backlog) {
            round(steady);
            rounds = rounds.saturating_add(1);
        }
        done.store(true, Ordering::Relaxed);
    });
    Waited { backlog: backlog.epochs(), steady: steady.epochs() }
}
