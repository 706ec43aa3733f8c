//! What the crate asks of RCU: read-side sections and an intrusive `call_rcu`.
//!
//! A kernel plugs in its own; programs can take the built-in [`Domain`](crate::Domain).

use core::ptr::NonNull;

use crate::rcu_head::{RcuFn, RcuHead};

/// A handle to an RCU implementation: a zero-sized type, or a reference to a domain.
///
/// It is `Copy` so that nobody has to reach through memory which the very callback that is being
/// queued may free.
///
/// # Safety
/// Memory safety of everything in this crate rests on the implementation:
/// - `func` is called once for each [`call`](Self::call), after every guard of this domain that
///   existed when `call` was entered has been dropped. Everything that happened before `call`
///   happens before `func`, and so does everything that those guards' owners did inside them.
/// - A guard that was created later, and that the grace period therefore need not wait for, sees
///   everything that happened before `call`.
/// - `func` never runs *inside* what its caller is at: not in `call`, nor in [`read`](Self::read), nor
///   when a guard that `read` returned is dropped, for this crate and its callers hold locks there;
///   nor in the section or under the lock in which `call` was called. An interrupt that comes in
///   between on the same processor counts as inside. (Whatever else an interrupt comes upon, this
///   crate's callbacks take as they would another processor's doings, since they only ever try a
///   lock; see [`RawLock::try_lock`](crate::RawLock::try_lock).)
/// - `func` may run on any thread, in any order, may lock, create guards and queue any head, its own
///   included.
/// - The head is not touched after `func` has started, and the tail of `call` touches neither the
///   head nor anything that `func` may free.
/// - `call` does not allocate, does not wait and does not fail; threads that never came near the
///   domain, and threads whose thread-locals are gone, can call it.
/// - Where the handle borrows a domain, nothing borrows it any more while heads are still queued
///   and the mms and tokens are gone. The domain does not move then, and before it is gone it runs
///   what is queued and what that queues, without a unique reference to itself: callbacks use the
///   handle.
/// - A head that was queued can be run by any thread: it does not depend on the thread that
///   queued it ever coming back.
/// - [Tickets](Self::ticket), where it gives any, are as said there.
pub unsafe trait Rcu: Copy + Send + Sync {
    /// A read-side section, left when the guard is dropped and in no other way: not when it is moved,
    /// nor when its thread ends, sleeps or is migrated, nor with another guard. Sections nest. It must
    /// not be `Send`. A guard that is leaked holds up the grace periods for ever, also past its
    /// thread's end.
    type Guard;

    /// Enters a read-side section. It does not wait for anybody.
    fn read(self) -> Self::Guard;

    /// A number that differs from thread to thread, or from processor to processor, as far as that is cheap to
    /// tell: takers with different ones, counted modulo the number of [lanes](crate::Mm::lanes), take from
    /// different pages. `guard` is this thread's. A hint: it may be any number at any time. Linux:
    /// `raw_smp_processor_id`. By default zero.
    #[inline]
    fn lane(self, guard: &Self::Guard) -> usize {
        let _ = guard;
        0
    }

    /// Whether `guard` holds up the grace periods of this domain.
    fn covers(self, guard: &Self::Guard) -> bool;

    /// Has `func(head)` called after a grace period.
    ///
    /// # Safety
    /// `head` is valid and queued nowhere, nobody else touches it until `func` is called, and
    /// `func` is sound to call with it then, once, on any thread.
    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn);

    /// Pages are scarce, and some may wait for their callbacks: called by an allocation, or by a retirement
    /// through a handle, of the thread that it runs on, outside of this crate's locks and sections. Whoever can had better move grace periods on and
    /// run callbacks at the next moment that is fit for it; not in here. By default nothing.
    #[inline]
    fn hurry(self) {}

    /// A ticket for the next grace period, which has not begun; or zero where this RCU cannot tell.
    ///
    /// Who gets the same ticket as somebody before waits for the same grace period. So the `func` of a head
    /// that was queued after somebody got a ticket runs only after every guard has been dropped that exists
    /// when anybody gets that ticket again, on whichever thread; what those guards' owners did inside them
    /// happens before it; and a guard that was created later, and that need not be waited for, sees what
    /// happened before the ticket was got. Once such a `func` has begun, nobody gets that ticket again,
    /// ever: a counter of 32 bits is to be extended.
    ///
    /// Called anywhere, under an mm's lock and in callbacks too. It does not wait and has no other effect.
    /// Linux: `get_state_synchronize_rcu`. By default zero: then every fragment that is retired while
    /// a call is in flight on its page waits for a grace period of its own, and a page that an mm
    /// has shown to takers without the lock is used under the lock only by every other one.
    #[inline]
    fn ticket(self) -> u64 {
        0
    }

    /// A ticket that was current not long ago: no older than any that the caller knows of. It says nothing of what
    /// the caller has done, so it is good for a head that is queued next, whose grace period begins later
    /// in any case, and may be cheaper.
    #[inline]
    fn recent_ticket(self) -> u64 {
        self.ticket()
    }

    /// Whether the grace period of a ticket is over: every guard that existed when the ticket was given has
    /// been dropped, and what its owner did inside happens before the return. A guard that was created
    /// later sees what happened before the ticket.
    ///
    /// Always false for what [`gave`](Self::gave) is false for. Called as `ticket` is; it may say no for as
    /// long as it likes. Linux: `poll_state_synchronize_rcu`.
    #[inline]
    fn has_elapsed(self, ticket: u64) -> bool {
        let _ = ticket;
        false
    }

    /// Whether a ticket, which is not zero, is one of this domain's. Domains of one source, of whatever type,
    /// are asked about each other's. Where there is only one RCU, as in a kernel, the answer is yes. By
    /// default no: whoever gives tickets says so here, too, or nothing comes of them. Domains that number
    /// their grace periods each for itself need a part of the number that tells them apart; a
    /// [`Domain`](crate::Domain)'s tickets are never below 2 to the power of 52.
    #[inline]
    fn gave(self, ticket: u64) -> bool {
        let _ = ticket;
        false
    }

    /// Whether [`ticket`](Self::ticket) would be this one, which this domain [gave](Self::gave). It may say no
    /// where it is not worth its cost to find out.
    #[inline]
    fn is_current(self, ticket: u64) -> bool {
        self.ticket() == ticket
    }
}
