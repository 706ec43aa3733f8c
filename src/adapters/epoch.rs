//! crossbeam-epoch's default collector.

use core::ptr::{self, NonNull};

use crossbeam_epoch::{Guard, default_collector, is_pinned, pin};

use crate::{
    embed::Rcu,
    rcu_head::{RcuFn, RcuHead},
    sync::{AtomicPtr, Ordering},
};

/// [crossbeam-epoch](crossbeam_epoch)'s default collector as RCU, for programs whose readers pin that anyway.
///
/// Two things are not as with a [`Domain`](crate::Domain). The collector allocates for each call, where the crate's own
/// promise is that nothing allocates on the way back. And it may run what is deferred inside `pin`, where callbacks must
/// not run: so what is ready is put on a stack, and runs in [`poll`](Self::poll), which somebody has to call now and then.
/// It gives no [tickets](Rcu::ticket): nothing joins a call in flight, and a page that one mm has shown to takers stays
/// quiet in every other.
///
/// ```
/// use ptfrag::{Embed, Epoch, Mm, Region, SpinLock};
///
/// struct Parts;
/// impl Embed for Parts {
///     type Rcu = Epoch;
///     type Source = Region;
///     type Lock = SpinLock;
///     type Hooks = ();
/// }
///
/// let mm = Mm::<16, 256, Parts>::new_in(Epoch, Region::new(100)?, ());
/// let slot = mm.slot();
/// slot.publish(mm.alloc()?);
/// let guard = crossbeam_epoch::pin();
/// assert!(slot.load(&guard).is_some());
/// drop((guard, slot));
/// while mm.pages() != 0 {
///     Epoch::poll();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Epoch;

/// The heads whose grace period is over, linked, the last one first.
static READY: AtomicPtr<RcuHead> = AtomicPtr::new(ptr::null_mut());

impl Epoch {
    /// Moves the epoch on if nobody is in the way, and runs the callbacks that are ready; says how many there were.
    ///
    /// # Panics
    /// When the thread is pinned: a callback may have to wait for it.
    pub fn poll() -> usize {
        assert!(!is_pinned(), "ptfrag: callbacks do not run inside a section");
        pin().flush();
        // Acquire pairs with the Release of whoever put them there, hence of all that its epoch has waited for.
        let mut next = NonNull::new(READY.swap(ptr::null_mut(), Ordering::Acquire));
        let mut ran = 0;
        while let Some(head) = next {
            // SAFETY: it stays until its callback runs.
            let waiting = unsafe { head.as_ref() };
            // SAFETY: it was queued, and is this thread's now.
            next = NonNull::new(unsafe { waiting.next() });
            // SAFETY: as above.
            if let Some(func) = unsafe { waiting.func() } {
                // SAFETY: by the contract of `call`; its grace period is over, and nobody touches the head any more.
                unsafe { func(head) };
                ran += 1;
            }
        }
        ran
    }
}

/// A head on its way through the collector.
struct Deferred(NonNull<RcuHead>);

// SAFETY: any thread may run it.
unsafe impl Send for Deferred {}

impl Deferred {
    /// Puts the head where the next poll finds it.
    fn be_ready(self) {
        // SAFETY: it stays until its callback runs.
        let head = unsafe { self.0.as_ref() };
        let mut first = READY.load(Ordering::Relaxed);
        loop {
            // SAFETY: the head is queued, and this is the RCU.
            unsafe { head.set_next(first) };
            // Release: what the epoch has waited for, and the head's fields, come before.
            match READY.compare_exchange_weak(
                first,
                self.0.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

// SAFETY: the collector runs what is deferred once, after every thread has unpinned that was pinned at the time, and orders
// it after what these have done; a thread that pins later sees what came before, by the collector's own fences. `func` runs
// in `poll` only, outside of sections. `call` allocates, as is said, and does not wait; it hands the head to all threads at
// once, by the flush. A thread whose thread-locals are gone pins by a handle for the moment.
unsafe impl Rcu for Epoch {
    type Guard = Guard;

    #[inline]
    fn read(self) -> Guard {
        pin()
    }

    #[inline]
    fn covers(self, guard: &Guard) -> bool {
        guard.collector() == Some(default_collector())
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: the caller's promise.
        let waiting = unsafe { head.as_ref() };
        // SAFETY: it is idle, and the caller hands it over.
        unsafe { waiting.set_func(func) };
        let deferred = Deferred(head);
        let guard = pin();
        // SAFETY: what it does is fit for any thread and any time.
        unsafe { guard.defer_unchecked(move || deferred.be_ready()) };
        // Else it would wait for this thread to do more.
        guard.flush();
    }
}
