//! The built-in RCU.

use ptfrag::{OwnedDomain, Rcu};

use crate::head::{Func, Head, from_c, idle};

/// An RCU domain: readers enter its sections, and what is retired waits for them.
pub struct Domain(pub(crate) OwnedDomain);

/// # Safety
/// It is a domain that is there as long as the reference is used.
pub(crate) unsafe fn domain<'a>(domain: *const Domain) -> &'a ptfrag::Domain {
    // SAFETY: passed on to the caller.
    &unsafe { &*domain }.0
}

/// A new domain; never NULL. It allocates.
///
/// Context: sections, callbacks, under locks; not a signal handler.
#[unsafe(no_mangle)]
pub extern "C" fn ptfrag_domain_new() -> *mut Domain {
    Box::into_raw(Box::new(Domain(OwnedDomain::new())))
}

/// Ends a domain: runs what waits, and what that calls for. NULL is allowed. No mm of it exists any more, all that was
/// allocated from them is freed, and no thread is in a section of it or in any other call with it.
///
/// Context: not in a section of the domain, a callback or a signal handler, nor under a lock that callbacks take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_domain_free(domain: *mut Domain) {
    if !domain.is_null() {
        // SAFETY: it came from `ptfrag_domain_new`, and nobody uses it any more.
        drop(unsafe { Box::from_raw(domain) });
    }
}

/// Moves grace periods on and runs callbacks whose grace period is over; says how many. It never waits for readers. In a
/// section of the domain, in a callback, and where the thread's thread-locals are gone it does nothing.
///
/// Context: not in a signal handler, nor under a lock that callbacks take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_poll(domain: *const Domain) -> usize {
    // SAFETY: the caller's promise.
    unsafe { self::domain(domain) }.poll()
}

/// Waits until all callbacks have run that were called for before, by any thread, and runs some of them. Those that these
/// call for are not waited for: a page can need several rounds on its way home.
///
/// Context: not in a section of the domain or in a callback, where it ends the process; not in a signal handler, nor under a
/// lock that readers or callbacks take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_barrier(domain: *const Domain) {
    // SAFETY: the caller's promise.
    unsafe { self::domain(domain) }.barrier();
}

/// Waits until all sections have been left that are open now. It runs no callbacks.
///
/// Context: not in a section of the domain, where it ends the process; not in a signal handler, nor under a lock that readers
/// take. A callback that waits here holds up those behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_synchronize(domain: *const Domain) {
    // SAFETY: the caller's promise.
    unsafe { self::domain(domain) }.synchronize();
}

/// Has `func(head)` called after a grace period, once, on any thread that runs callbacks: for things of the caller's own. The
/// head stays, and is nobody's but the domain's, until then; `func` may free what it lies in, and queue it again. `func` is not
/// NULL. A few stores and an exchange: never a lock, never an allocation.
///
/// Context: anywhere; signal handlers, if their thread has been in a section of the domain before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptfrag_call(domain: *const Domain, head: *mut Head, func: Func) {
    // SAFETY: the caller's promise, here and below.
    let domain = unsafe { self::domain(domain) };
    // SAFETY: as above.
    let head = unsafe { idle(head) };
    // SAFETY: as above.
    unsafe { domain.call(head, from_c(func)) };
}
