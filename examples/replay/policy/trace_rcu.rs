//! An RCU whose grace periods are told from outside: the driver's trace time decides.

use std::{
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

use ::ptfrag::{Rcu, RcuFn, RcuHead};

/// The state behind a [`TraceRcu`].
#[derive(Default)]
struct Clock {
    /// The heads queued since the driver last asked, newest first.
    queued: AtomicPtr<RcuHead>,
    calls: AtomicU64,
    guards: AtomicUsize,
    /// The time, and when the next grace period to begin will end, which is its ticket.
    now: AtomicU64,
    next: AtomicU64,
}

/// A handle to one replay's RCU.
#[derive(Clone, Copy)]
pub(crate) struct TraceRcu(&'static Clock);

/// A read-side section. The raw pointer keeps it on its thread.
pub(crate) struct Section {
    clock: &'static Clock,
    here: PhantomData<*const ()>,
}

impl Drop for Section {
    fn drop(&mut self) {
        self.clock.guards.fetch_sub(1, Ordering::Release);
    }
}

/// Callbacks that wait for the same grace period, oldest first.
pub(crate) struct Batch(*mut RcuHead);

impl TraceRcu {
    /// A new RCU. Its few bytes are never freed: a handle is `Copy`, and the page that comes home
    /// last decides when the last one is gone.
    pub(super) fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    /// How often `call` was called.
    pub(super) fn calls(self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    pub(super) fn set_time(self, now: u64, next: u64) {
        self.0.now.store(now, Ordering::Relaxed);
        self.0.next.store(next, Ordering::Relaxed);
    }

    /// What was queued since the last time: its grace period begins now.
    pub(super) fn take(self) -> Option<Batch> {
        // Acquire pairs with the Release in `call`.
        let mut rest = self.0.queued.swap(ptr::null_mut(), Ordering::Acquire);
        let mut batch = ptr::null_mut();
        while let Some(head) = NonNull::new(rest) {
            // SAFETY: the swap made the queue ours, and its heads are valid until they are run.
            let head = unsafe { head.as_ref() };
            // SAFETY: as above.
            rest = unsafe { head.next() };
            // SAFETY: as above.
            unsafe { head.set_next(batch) };
            batch = ptr::from_ref(head).cast_mut();
        }
        (!batch.is_null()).then_some(Batch(batch))
    }

    /// Runs a batch, whose grace period has ended.
    pub(super) fn run(self, batch: Batch) {
        // The driver is the only thread and keeps no section open between two steps, so every
        // section that the grace period had to wait for has ended. Acquire pairs with the
        // Release with which a section ends.
        assert_eq!(self.0.guards.load(Ordering::Acquire), 0, "a section was left open");
        let mut rest = batch.0;
        while let Some(head) = NonNull::new(rest) {
            // SAFETY: the batch owns its heads.
            let queued = unsafe { head.as_ref() };
            // SAFETY: as above.
            rest = unsafe { queued.next() };
            // SAFETY: as above.
            let func = unsafe { queued.func() }.expect("`call` stored it");
            // SAFETY: the head was queued with this function, and both are used for the last time.
            unsafe { func(head) };
        }
    }
}

// SAFETY: callbacks run only in `run`, which nothing of the crate calls, with no guard alive; the
// queue hands each head to one `take`. `call` is one exchange loop on a static, after which it
// touches nothing; it needs no thread-local and no memory. Time only passes between two steps, when no guard
// is alive.
unsafe impl Rcu for TraceRcu {
    type Guard = Section;

    fn read(self) -> Section {
        self.0.guards.fetch_add(1, Ordering::Relaxed);
        Section { clock: self.0, here: PhantomData }
    }

    fn covers(self, guard: &Section) -> bool {
        ptr::eq(self.0, guard.clock)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller says that the head is valid.
        let idle = unsafe { head.as_ref() };
        // SAFETY: the caller hands it over.
        unsafe { idle.set_func(func) };
        let mut first = self.0.queued.load(Ordering::Relaxed);
        loop {
            // SAFETY: as above; nobody else sees the head before the exchange succeeds.
            unsafe { idle.set_next(first) };
            // Release pairs with the Acquire in `take`.
            match self.0.queued.compare_exchange_weak(
                first,
                head.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(other) => first = other,
            }
        }
    }

    fn ticket(self) -> u64 {
        self.0.next.load(Ordering::Relaxed)
    }

    fn gave(self, _: u64) -> bool {
        true
    }

    fn has_elapsed(self, ticket: u64) -> bool {
        self.0.now.load(Ordering::Relaxed) >= ticket
    }
}
