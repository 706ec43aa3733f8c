//! The built-in RCU domain by itself. Each model says whether it is exhaustive, and which faults,
//! planted on purpose, it was seen to catch.
//!
//! The value that readers look at is a loom cell, and a callback writes to it, as freeing or
//! reusing its memory would: loom then fails if a reader's access does not happen before the
//! callback.
//!
//! Two limits of loom to know: its full fences carry more than the language's (each synchronizes
//! with all before it), so a fault next to a fence needs another thread's view to show; and it
//! remembers only the last access of a cell when it looks for orders to try, so even a model
//! without a bound tries those that it can tell apart from there.

use core::ptr::{self, NonNull};
use std::sync::Arc;

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering},
};
use ptfrag::{Domain, OwnedDomain, Rcu, RcuHead};

mod asymmetric;
mod grace_periods;
mod parking;
mod queues;
mod sections;
mod tickets;

const ALIVE: usize = 1;
const SPOILT: usize = 2;

/// What readers see and the callback reclaims.
#[repr(C)]
pub struct Value {
    head: RcuHead,
    cell: UnsafeCell<usize>,
    /// How often the callback ran.
    ran: AtomicUsize,
}

// SAFETY: loom watches the cell.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    fn new() -> Self {
        Self { head: RcuHead::new(), cell: UnsafeCell::new(ALIVE), ran: AtomicUsize::new(0) }
    }

    fn read(&self) -> usize {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.cell.with(|value| unsafe { *value })
    }

    fn write(&self, value: usize) {
        // SAFETY: loom checks that nobody looks meanwhile.
        self.cell.with_mut(|cell| unsafe { *cell = value });
    }

    pub fn ran(&self) -> bool {
        self.ran.load(Ordering::Relaxed) != 0
    }

    fn queue(&self, domain: &Domain) {
        // SAFETY: each model queues a value once, and drops it after its domain.
        unsafe { domain.call(NonNull::from(self).cast(), spoil) };
    }
}

/// Reclaims a value.
unsafe extern "C" fn spoil(head: NonNull<RcuHead>) {
    // SAFETY: the head is the first field of a value that outlives the domain.
    let value = unsafe { head.cast::<Value>().as_ref() };
    value.write(SPOILT);
    // So would whoever queues it again, or frees it.
    // SAFETY: the head is the callback's.
    unsafe { value.head.set_next(ptr::null_mut()) };
    assert_eq!(value.ran.fetch_add(1, Ordering::Relaxed), 0, "a callback ran twice");
}

/// A domain, a value, and whether readers can still find it. The domain goes first.
pub struct World {
    pub domain: OwnedDomain,
    published: AtomicUsize,
    pub value: Value,
    other: Value,
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::with(OwnedDomain::new())
    }

    fn with(domain: OwnedDomain) -> Arc<Self> {
        Arc::new(Self {
            domain,
            published: AtomicUsize::new(1),
            value: Value::new(),
            other: Value::new(),
        })
    }

    /// A section that looks at the value if it finds it.
    pub fn look(&self) {
        let _section = Rcu::read(&*self.domain);
        if self.finds_it() {
            assert_eq!(self.value.read(), ALIVE);
        }
    }

    fn finds_it(&self) -> bool {
        // Relaxed: that a section does not find what it must not touch is up to the domain.
        self.published.load(Ordering::Relaxed) == 1
    }

    fn unpublish(&self) {
        self.published.store(0, Ordering::Relaxed);
    }

    pub fn retire(&self) {
        self.unpublish();
        self.value.queue(&self.domain);
    }

    /// What `retire` does, with a wait in the place of the callback.
    fn retire_and_wait(&self) {
        self.unpublish();
        self.domain.synchronize();
        self.value.write(SPOILT);
    }

    pub fn poll(&self, times: usize) {
        for _ in 0..times {
            self.domain.poll();
        }
    }
}
