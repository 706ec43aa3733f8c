//! The table of the caller's own parts, and what each function in it promises.

use std::ffi::c_void;

use super::Lock;
use crate::{
    domain::Domain,
    geometry::AnyRegion,
    head::{Func, Head},
    region::Region,
};

/// The caller's own parts. Set all of it to zero (`memset`, `= {0}`), then what there is:
/// - the RCU: `domain`, or else `read_lock`, `read_unlock` and `call`;
/// - pages: `region`, or else `page_size`, `page_get`, `page_put`, `desc_of` and `page_of`;
/// - `ticket`, `has_elapsed` and `gave`: all of them or none, and none with a domain;
/// - `lock`, `try_lock` and `unlock`: all of them or none;
/// - whatever else there is of use.
///
/// Each function gets `context` first, may be called on any thread, and is left by returning. An exception ends the process there,
/// and so does the end of the thread (pthread_exit, cancellation) if the system unwinds its stack for that. longjmp would leave
/// locks and sections behind for good.
///
/// The table does not change, and stays with its context and with what its functions use: as long as an mm or an origin of it
/// exists, until the last page of each of its mms is home, no thread is in a function of this library for one of them, and
/// none is in the tail of a `call`, between handing a head over and returning. A domain or region in it stays, too.
#[repr(C)]
pub struct Parts {
    /// The caller's.
    pub context: *mut c_void,

    /// The built-in RCU in the place of the caller's.
    pub domain: *const Domain,
    /// Enters a read-side section of the calling thread. Sections nest: also in those of the caller. It does not wait for
    /// anybody. A section that a grace period need not wait for sees everything that happened before the `call`.
    pub read_lock: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
    /// Leaves it, on the same thread. It runs no callbacks: this library and its callers hold locks there.
    pub read_unlock: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
    /// Has `func(head)` called once, on any thread, after all sections are over that there are now. What happened before `call`,
    /// and in those sections, happens before `func`.
    ///
    /// It is called in callbacks, under the caller's locks, and on any thread that frees a fragment, also on one that was never in
    /// a section. (liburcu: so each such thread is registered, and the worker was made before by get_default_call_rcu_data.) It
    /// does not allocate, wait or fail. Once the head is handed over, another thread may run `func`, which may free the head and
    /// all that there is of the mm: `call` touches neither any more.
    ///
    /// `func` itself calls `call`, for the same head or another, page_put, page_out, reclaim, desc_of, page_of, try_lock,
    /// unlock and the functions of tickets, and what the caller does in those: so `call` keeps no lock while it runs any `func`,
    /// nor does whoever else runs it keep one that these take. `func` never runs inside `call`, read_lock or read_unlock, nor in
    /// the section or under the lock in which `call` was called. That holds of an interrupt or a signal handler as well.
    pub call:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, head: *mut Head, func: Func)>,
    /// A number that differs from thread to thread or from processor to processor, for ptfrag_mm_lanes: a hint. Called in a
    /// section. NULL: always zero.
    pub lane: Option<unsafe extern "C-unwind" fn(context: *mut c_void) -> usize>,
    /// A ticket for the next grace period that has not begun, or zero. With tickets, what is retired joins a call that is in flight
    /// already; without, it waits for one of its own. Linux: get_state_synchronize_rcu.
    ///
    /// The `func` of a head that was queued after somebody got a ticket runs only after all sections are over that there are when
    /// anybody gets that ticket again. Once it has begun nobody gets the ticket again, ever. (liburcu's
    /// start_poll_synchronize_rcu is none: its grace period can be over later than that of a head that was queued after it.) It
    /// has no other effect, and is called where desc_of is.
    pub ticket: Option<unsafe extern "C-unwind" fn(context: *mut c_void) -> u64>,
    /// A ticket that was current not long ago: no older than any that the calling thread knows of. NULL: `ticket` is cheap enough.
    pub recent_ticket: Option<unsafe extern "C-unwind" fn(context: *mut c_void) -> u64>,
    /// Whether all sections are over that there were when the ticket was given: what happened in them happens before the return,
    /// and sections that are entered later see what happened before the ticket. It may say no for as long as it likes.
    pub has_elapsed: Option<unsafe extern "C-unwind" fn(context: *mut c_void, ticket: u64) -> bool>,
    /// Whether a number that is not zero is one of this RCU's tickets. If pages are only ever used under one RCU it is; a domain's
    /// tickets are never below 2 to the power of 52.
    pub gave: Option<unsafe extern "C-unwind" fn(context: *mut c_void, ticket: u64) -> bool>,

    /// Waits until the mm's lock is free and takes it; no callbacks run meanwhile on its thread. What the last holder did happens
    /// before the return. Nobody waits who has another lock of the same mm. NULL: a spin lock.
    pub lock: Option<unsafe extern "C-unwind" fn(context: *mut c_void, lock: *mut Lock)>,
    /// Takes it if it is free, and says so; never waits, and never lets in who has it already. In callbacks nothing but this is
    /// called, unless the caller's own functions do more there than retire.
    pub try_lock:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, lock: *mut Lock) -> bool>,
    /// Lets the next one in, and does not touch the lock's memory after that: another thread may free it. (A futex may be woken by
    /// its address.)
    pub unlock: Option<unsafe extern "C-unwind" fn(context: *mut c_void, lock: *mut Lock)>,

    /// The built-in pages in the place of the caller's.
    pub region: *const Region,
    /// Bytes of a page: 4096 or 65536; with a region its own, or 0.
    pub page_size: usize,
    /// A page and its descriptor, or false when there is none. The page is aligned to its size, initialised, and nobody else's. A
    /// descriptor is PTFRAG_DESC_SIZE bytes at a multiple of PTFRAG_DESC_ALIGN outside of pages, always the same for a page, all
    /// zero when the page is handed out for the first time and not written by the source ever after; it stays as long as the table
    /// does. Called outside of this library's sections and locks: it may sleep.
    pub page_get: Option<
        unsafe extern "C-unwind" fn(
            context: *mut c_void,
            page: *mut *mut u8,
            desc: *mut *mut c_void,
        ) -> bool,
    >,
    /// A page comes back. Called in callbacks, too: it does not wait for a grace period. Not in this library's sections or locks. It
    /// happens before the page_get that hands the same page out again.
    pub page_put:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, page: *mut u8, desc: *mut c_void)>,
    /// The descriptor of the page in which an address lies, be it out or not; NULL for an address in none of the source's pages.
    /// Called under an mm's lock and in callbacks, too: it does not wait, calls nothing of this library, and takes no lock that is
    /// held round a call of this library.
    pub desc_of: Option<
        unsafe extern "C-unwind" fn(context: *mut c_void, address: *const u8) -> *mut c_void,
    >,
    /// The first byte of a descriptor's page. Called where desc_of is.
    pub page_of:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, desc: *const c_void) -> *mut u8>,

    /// Whether fragments are all zero when they are handed out. Then this library clears pages and what comes back; reclaim and
    /// page_in come before and after that, in this order.
    pub zeroed: bool,
    /// A page has come from its source and is about to be split; false refuses it, and it goes back (Linux: a page-table
    /// constructor). Called where page_get is. What it writes stays initialised.
    pub page_in: Option<unsafe extern "C-unwind" fn(context: *mut c_void, page: *mut u8) -> bool>,
    /// A page is about to go back, called where page_put is: in callbacks, possibly long after the mm was freed, or in whichever
    /// give_back, shrink, close or free empties the page.
    pub page_out: Option<unsafe extern "C-unwind" fn(context: *mut c_void, page: *mut u8)>,
    /// The grace period of a retired fragment is over, and it is about to be handed out again. Called in callbacks, once for each,
    /// not for what was given back. It may retire; whether it may call more of this library is said there.
    pub reclaim: Option<unsafe extern "C-unwind" fn(context: *mut c_void, frag: *mut u8)>,
}

// SAFETY: the caller's functions are fit to be called on any thread, with the context.
unsafe impl Send for Parts {}
// SAFETY: as above.
unsafe impl Sync for Parts {}

/// Whether all or none are there.
fn are_together<const COUNT: usize>(there: [bool; COUNT]) -> bool {
    there.iter().all(|one| *one == there[0])
}

impl Parts {
    pub(super) fn is_whole(&self) -> bool {
        let rcu = [self.read_lock.is_some(), self.read_unlock.is_some(), self.call.is_some()];
        let tickets = [self.ticket.is_some(), self.has_elapsed.is_some(), self.gave.is_some()];
        let lock = [self.lock.is_some(), self.try_lock.is_some(), self.unlock.is_some()];
        let [get, put] = [self.page_get.is_some(), self.page_put.is_some()];
        let pages = [get, put, self.desc_of.is_some(), self.page_of.is_some()];
        let size = self.page_size;
        are_together(rcu)
            && are_together(tickets)
            && are_together(lock)
            && are_together(pages)
            && rcu[0] == self.domain.is_null()
            && (rcu[0] || !tickets[0])
            && (tickets[0] || self.recent_ticket.is_none())
            && pages[0] == self.region.is_null()
            && (pages[0] || size == 0 || size == self.page_bytes())
    }

    /// The region, if there is one.
    pub(super) fn region(&self) -> Option<&AnyRegion> {
        // SAFETY: NULL, or a region that is there.
        Some(&unsafe { self.region.as_ref() }?.0)
    }

    /// Bytes of a page.
    pub(super) fn page_bytes(&self) -> usize {
        self.region().map_or(self.page_size, AnyRegion::page_size)
    }
}
