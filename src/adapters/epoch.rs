//! crossbeam-epoch's default collector.

use core::ptr::{self, NonNull};
use std::thread_local;

use crossbeam_epoch::{Guard, LocalHandle, default_collector, is_pinned, pin};

use crate::{
    embed::Rcu,
    rcu_head::{RcuFn, RcuHead},
    sync::{AtomicPtr, Ordering},
};

/// [crossbeam-epoch](crossbeam_epoch)'s default collector as RCU, for programs whose readers pin that anyway.
///
/// Some things are not as with a [`Domain`](crate::Domain). Nobody but [`poll`](Self::poll), which somebody has to call now
/// and then, has the collector wait for what was queued, and runs callbacks: the collector allocates for that, and may run
/// what is deferred inside `pin`, where callbacks must not run. A thread that stops in a poll takes along what it has come
/// upon, and while it is pinned there everybody waits. There are no [tickets](Rcu::ticket): nothing joins a call in
/// flight, and a page that one mm has shown to takers stays quiet in every other; and no [numbers](Rcu::lane) of threads:
/// all take from one lane. Nothing of it is for signal handlers.
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

/// Heads that were queued.
static QUEUED: Heads = Heads::new();
/// Heads whose grace period is over.
static READY: Heads = Heads::new();

thread_local! {
    /// For polls alone: what others defer on this thread, and what of that panics, is not in one bag with the heads.
    static HANDLE: LocalHandle = default_collector().register();
}

impl Epoch {
    /// Moves the epoch on if nobody is in the way, and runs the callbacks whose grace period is over, as far as the collector
    /// has come to them; says how many there were. What else was deferred with the collector may run as well. It allocates
    /// what the collector needs to wait for what was queued since the last time.
    ///
    /// # Panics
    /// When the thread is pinned: a callback may have to wait for it. (A guard of a handle of one's own, or one in the
    /// destructor of a thread-local when the collector's own is gone, is not noticed: then nobody may call this.)
    pub fn poll() -> usize {
        assert!(!is_pinned(), "ptfrag: callbacks do not run inside a section");
        {
            let guard = HANDLE
                .try_with(LocalHandle::pin)
                .unwrap_or_else(|_| default_collector().register().pin());
            if let Some(chain) = QUEUED.take() {
                // SAFETY: what it does is fit for any thread and any time.
                unsafe { guard.defer_unchecked(move || READY.push(chain)) };
            }
            guard.flush();
        }
        READY.take().map_or(0, Chain::run)
    }
}

/// A stack of heads.
struct Heads(AtomicPtr<RcuHead>);

/// Heads that are linked, the last one queued first, and nobody else's.
struct Chain {
    first: NonNull<RcuHead>,
    last: NonNull<RcuHead>,
}

// SAFETY: any thread may run them.
unsafe impl Send for Chain {}

impl Heads {
    const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    fn push(&self, Chain { first, last }: Chain) {
        // SAFETY: heads stay until their callback runs.
        let last = unsafe { last.as_ref() };
        let mut next = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the head is queued, and this is the RCU.
            unsafe { last.set_next(next) };
            // Release: what came before the call, or what the epoch has waited for, and the heads' fields.
            let new = first.as_ptr();
            match self.0.compare_exchange_weak(next, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }

    fn take(&self) -> Option<Chain> {
        // Acquire pairs with the Release of all who have put some there.
        let first = NonNull::new(self.0.swap(ptr::null_mut(), Ordering::Acquire))?;
        let mut last = first;
        loop {
            // SAFETY: heads stay until their callback runs.
            let head = unsafe { last.as_ref() };
            // SAFETY: it was queued, and is the caller's now.
            let Some(next) = NonNull::new(unsafe { head.next() }) else {
                return Some(Chain { first, last });
            };
            last = next;
        }
    }
}

impl Chain {
    /// Runs the callbacks; says how many there were.
    fn run(self) -> usize {
        let (mut next, mut ran) = (Some(self.first), 0);
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

// SAFETY: the collector runs what is deferred once, after every thread has unpinned that was pinned at the time, and orders
// it after what these have done; a thread that pins later sees what came before, by the collector's own fences. What was
// queued before a poll took it is deferred there, hence later, which is no shorter wait. `func` runs in `poll` only, outside of
// sections. `call` is a few instructions on the thread that it is called on, which then has nothing more to do with it.
// (`Guard::repin` makes no fence: a reader is as safe with it as with the collector's own pointers.)
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
        QUEUED.push(Chain { first: head, last: head });
    }
}
