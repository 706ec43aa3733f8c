//! The crate's own lock, with a shadow.

use ptfrag::{RawLock, SpinLock};

use super::{Shadow, Stage};

/// A lock whose users loom sees touch the mm's head, the last time just before the releasing store.
///
/// loom's own mutex would not do: its `try_lock` waits when the holder is in the way, and the
/// failing one, which a callback meets, would never be played.
pub struct Watched {
    shadow: Shadow,
    spin: SpinLock,
}

// SAFETY: the spin lock is one, and the shadow is touched before its last access.
unsafe impl RawLock for Watched {
    fn new() -> Self {
        Self { shadow: Shadow::new(), spin: SpinLock::new() }
    }

    fn lock(&self) {
        self.shadow.touch();
        self.spin.lock();
        Stage::with(|stage| stage.locked(self));
    }

    fn try_lock(&self) -> bool {
        self.shadow.touch();
        self.spin.try_lock()
    }

    unsafe fn unlock(&self) {
        self.shadow.touch();
        // SAFETY: passed on to the caller.
        unsafe { self.spin.unlock() };
    }
}
