//! What an embedder may want to do along a page's way.

use core::ptr::NonNull;

use super::AllocError;

/// Called as pages come and go, and as retired fragments come back. `()` does nothing.
///
/// A hook that writes to a page leaves its bytes initialised: users of fragments may read them, and the
/// source may rely on it. (A value with padding leaves uninitialised bytes.) That is a matter of memory
/// safety, for the `unsafe` code in the hook to see to.
///
/// No hook is called with the mm's lock held, and none may wait for a grace period. `reclaim` runs inside
/// RCU callbacks, where a panic ends the process. `page_out` runs there, too, or in whichever call makes a
/// page empty or lets go of empty ones; a panic unwinds from that call, and the page and those that go with
/// it go home all the same. A second one, while the first unwinds, ends the process. The drop of the hooks comes
/// with the end of the mm's head, possibly in a callback.
pub trait Hooks: Send + Sync + 'static {
    /// What the two words that held a list node are set to before the fragment can be handed out:
    /// zeros, unless an empty entry looks different (as s390's page-table entries do).
    const EMPTY_NODE: [usize; 2] = [0; 2];

    /// Whether [`give_back`](Self::give_back) is called.
    const GIVES_BACK: bool = false;

    /// A page has come from its source and nobody else has seen it (Linux: a page-table
    /// constructor). `page` is its first byte; all of it may be written, and is left initialised.
    ///
    /// # Errors
    /// [`AllocError`], or a panic, sends the page back at once and fails the allocation.
    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        let _ = page;
        Ok(())
    }

    /// In the place of [`page_in`](Self::page_in), for a page of which the source
    /// [knows](crate::PageSource::is_zeroed) that it is all zero.
    ///
    /// # Errors
    /// As for [`page_in`](Self::page_in), which it calls.
    fn page_in_zeroed(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        self.page_in(page)
    }

    /// A page is about to go back to its source (the destructor). Its mm may have been dropped
    /// long ago. `page` is its first byte; all of it may be written, and is left initialised.
    fn page_out(&self, page: NonNull<u8>) {
        let _ = page;
    }

    /// A fragment is given back that no reader has seen: called by whoever gives it back, exactly once
    /// and before it can be handed out again, if [`GIVES_BACK`](Self::GIVES_BACK) says so; not for what a
    /// handle has claimed and never handed out. The fragment's bytes are as its last user left them, and
    /// are left initialised by the hook. A panic leaks the fragment.
    fn give_back(&self, frag: NonNull<u8>) {
        let _ = frag;
    }

    /// The grace period of a retired fragment is over: called exactly once for each retired
    /// fragment, never for one that was given back, and before it can be handed out again. The
    /// fragment's bytes are as its last user left them, and are left initialised by the hook. It
    /// may allocate, retire and give back in the same mm; whether it may wait for the mm's lock
    /// where callbacks run is the embedder's concern (see [`RawLock::lock`](crate::RawLock::lock)).
    fn reclaim(&self, frag: NonNull<u8>) {
        let _ = frag;
    }
}

impl Hooks for () {}
