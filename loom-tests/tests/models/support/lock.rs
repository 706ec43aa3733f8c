//! A lock with a shadow.

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use ptfrag::RawLock;

use super::{Shadow, Stage};

/// A lock whose users loom sees touch the mm's head, the last time just before the releasing store.
///
/// loom's own mutex would not do: its `try_lock` waits when the holder is in the way, and the
/// failing one, which a callback meets, would never be played. Nor does spinning, which makes a
/// model with three threads endless. So whoever waits parks. The list of waiters is the stage's,
/// not the lock's memory, and a waiter gets nothing from being woken that the lock does not give.
pub struct Watched {
    shadow: Shadow,
    held: AtomicBool,
}

impl Watched {
    fn enter(&self) -> bool {
        // Acquire pairs with the Release in `unlock`.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: one thread gets from `enter` to the store in `unlock`, which is the last access.
unsafe impl RawLock for Watched {
    fn new() -> Self {
        Self { shadow: Shadow::new(), held: AtomicBool::new(false) }
    }

    fn lock(&self) {
        self.shadow.touch();
        while !self.enter() {
            // loom switches threads before an operation, so nobody unlocks between these two.
            Stage::with(|stage| stage.wait(thread::current()));
            thread::park();
        }
        Stage::with(|stage| stage.locked(self));
    }

    fn try_lock(&self) -> bool {
        self.shadow.touch();
        let got = self.enter();
        if got {
            Stage::with(|stage| stage.locked(self));
        }
        got
    }

    unsafe fn unlock(&self) {
        self.shadow.touch();
        Stage::with(|stage| stage.unlocked(self));
        self.held.store(false, Ordering::Release);
        Stage::with(Stage::wake);
    }
}
