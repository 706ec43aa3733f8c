//! Read-side sections of the built-in RCU.

use std::{ffi::c_void, mem};

use ptfrag::Rcu;

use crate::domain::{Domain, domain};

/// A read-side section of one thread.
#[repr(C)]
pub struct Section {
    /// Not for C to look into.
    pub words: [*mut c_void; 2],
}

const _: () = assert!(size_of::<Section>() == size_of::<ptfrag::Section<'static>>());

impl Section {
    fn new(section: ptfrag::Section<'static>) -> Self {
        // SAFETY: a section is two pointers, which nobody looks into.
        unsafe { mem::transmute::<ptfrag::Section<'static>, Self>(section) }
    }

    /// # Safety
    /// It is from [`new`](Self::new), on this thread, and comes back once.
    unsafe fn leave(self) {
        // SAFETY: passed on to the caller.
        drop(unsafe { mem::transmute::<Self, ptfrag::Section<'static>>(self) });
    }
}

/// Enters a read-side section of the calling thread, to be left on the same thread, once. Sections nest, and are left in any
/// order; but as long as one of them is open the thread is in a section. It never waits. A thread's first section in a domain
/// allocates.
///
/// Context: anywhere; signal handlers, if their thread has been in a section of the domain before, and they leave what they
/// enter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_read_lock(domain: *const Domain) -> Section {
    // SAFETY: the domain outlives its sections, by the caller's promise.
    let domain: &'static ptfrag::Domain = unsafe { self::domain(domain) };
    // The trait's: a section that runs nothing when it is left.
    Section::new(Rcu::read(domain))
}

/// Leaves a section: a few stores. It runs no callbacks, so somebody else has to: ptfrag_poll now and then, or
/// ptfrag_read_unlock_and_poll in its place.
///
/// Context: where the section was entered; signal handlers leave their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_read_unlock(section: Section) {
    // SAFETY: the caller's promise.
    unsafe { section.leave() };
}

/// Leaves a section of `domain`, and if it was the thread's last one runs callbacks now and then, at the domain's own pace: after
/// 32 heads that the thread has queued, or at every 128th time at the latest. It costs about as much as a section more.
///
/// Context: where the section was entered, but not in a signal handler, nor under a lock that callbacks take. In a callback it
/// only leaves.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_read_unlock_and_poll(domain: *const Domain, section: Section) {
    // SAFETY: the caller's promise, here and below.
    unsafe { section.leave() };
    // SAFETY: as above.
    let domain = unsafe { self::domain(domain) };
    // The section that runs callbacks when it is left is an empty one of its own: a `Section` does not become a `Guard`.
    drop(domain.read());
}
