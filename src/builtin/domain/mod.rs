//! The built-in RCU domain for user space: epochs, and intrusive callbacks that any thread can run.
//!
//! # The protocol
//!
//! The domain has a clock, the *epoch*. Each thread that reads has a *record*, which *announces*
//! the epoch that the reader found when it entered its outermost section, or nothing.
//!
//! - **Enter**: load the epoch; store it as the announcement; full fence.
//! - **Leave**: clear the announcement (release).
//! - **Advance** from `e` to `e + 1`: load the epoch; full fence; look at every record that is not parked, and
//!   give up if one announces anything else than `e`; acquire fence; compare-and-swap the epoch (release).
//!   Nobody waits for a reader here.
//! - **Park**: mark the place of a record as closing; full fence; if its owner announces nothing (acquire) and its
//!   queue is empty, and nobody has opened the place since, close it (release). One thread at a time does that.
//! - **Enter**, after the fence: if the place is not open, open it (release), and begin again. A section inside another
//!   announces nothing: what is announced does not change while a section relies on it. (One in a signal handler may have
//!   come before the fence of the outer one, and before the place was open: it sees to both.)
//! - **Call**: push the head on a stack, the thread's own or, if it has no record, the *orphans'*; before that open the
//!   place if whoever parked the record has left a mark on the stack.
//! - **Tag**: somebody, the queuer or another, takes a whole stack off; full fence; loads the
//!   epoch. That is the batch's tag `t`.
//! - **Run**: once the epoch (acquire) is at least `t + 2`, the batch's callbacks may run.
//!
//! # Why it is right
//!
//! The full fences stand in one total order, and with them what can be read: if a fence is ordered
//! before another, a load after the second sees every store before the first, or a later one.
//! Turned round: if a load after fence `A` misses a store that a load before fence `B` found, then
//! `A` comes before `B`. Take a batch with tag `t`, its tagger's fence `T`, the advance from `t +
//! 1` to `t + 2` with its fence `A`, and any section with its fence `R`.
//!
//! 1. *`T` comes before `A`*: the tagger's load found `t`, so it missed the store of `t + 1`, which
//!    the advance had found before `A`. This is what the second advance is for: the first one, from
//!    `t` to `t + 1`, may have looked at the records before `T`.
//! 2. *A section with `A` before `R`* need not be waited for. `T` comes before `A`, hence before
//!    `R`, and everything before `call` happens before `T`. So the section sees it all; what was
//!    unlinked before `call` it does not find.
//! 3. *A section with `R` before `A`*: the advance sees the announcement or what the owner stored
//!    there later. Three cases. It sees the announcement of this section, and since it goes on,
//!    that is `t + 1`: the reader found `t + 1` before `R`, which the tagger missed after `T`, so
//!    `T` comes before `R`, and the section sees everything as under 2. Or it sees the announcement
//!    cleared, or that of a later section: then the section is over, and it happens before the
//!    advance, since both stores are release stores. (The store that opens a section must be one
//!    too: a release sequence does not reach across a plain store, not even of the same thread.)
//!
//! So of each section either the accesses happen before the callback, or it sees what was done
//! before the call. *Sees* is meant as in the rest of the theory of RCU: no atomic load in it
//! returns anything older. It does not make plain data that was written before the call safe to
//! read: a reader comes to them through a pointer that it loads with acquire, as always.
//!
//! **Parked records.** Let a section have `R` before `A`, and the advance skip its record. After `R` the owner found
//! the place open. Where the advance found it closed, it was closed later than that: an earlier close was undone by an
//! opening before `R`, hence before `A`, and the advance sees that or what came later. So whoever closed it had not
//! marked it when the owner looked; hence `R` comes before the closer's fence, and the closer found the announcement,
//! and did not close, or what the owner stored later. Then the section is over, and happens before the close (release
//! and acquire), and before the end of the advance (its acquire fence): the third case of point 3. A leaf's place in
//! its root is closed when all of the leaf's places are. Who opens both opens the leaf's after the record's, so
//! whoever marks that later finds the record's open, and if it was marked before, it is not closed.
//!
//! **Tagging late, by another thread.** Points 1 to 3 use of the queuer only that what it did
//! before `call` happens before `T`: the push (release) and the taking of the stack (relaxed, but
//! `T` follows, and a full fence is an acquire fence) see to that, whoever takes it. A later tag
//! means a later grace period, hence never a shorter wait for a section that was there when `call`
//! was entered. It saves the fence in `call` and lets a whole stack share one tag.
//!
//! **The other edges.** Everything before `call` happens before the callback: push, taking of the
//! stack, and then the queue's lock for whoever takes a ripe head off. The sections that a grace
//! period waited for happen before the callback: clearing store, acquire fence of the advance, its
//! release, and the acquire with which the batch is found ripe. Only read-modify-writes change the
//! epoch, so finding a later value than `t + 2` does as well. A record that changes hands carries
//! the first owner's sections along (release and claim), and the place of one that is new is opened before
//! its first fence `R`, so an advance with `R` before `A` comes across it.
//!
//! # Readers without a fence
//!
//! Where [`OwnedDomain::asymmetric`] could have its way, `R` is no fence; the compiler keeps the order. The fences `A` of
//! the advance and of whoever parks are *heavy*: each has the system make a full fence in every thread, somewhere
//! between two of its accesses, after what came before the call and before what comes after. Call these places in a
//! reader's thread `a` and so on. A batch is tagged with the epoch *after* the one that its tagger, whose fence `T` is one
//! of its own thread only, has found.
//!
//! Let that be `t`, found `t - 1`, and let `A` be the fence of the advance from `t` to `t + 1`, and `B` that of the one
//! from `t + 1` to `t + 2`. `T` comes before `A`, since the tagger missed the store of `t`. A section whose announcement
//! comes after `a` sees what was before `T`, and need not be waited for. One whose announcement comes before `a` is found
//! by both advances, it or what its owner stored later, as above: the first lets it pass only if it announces `t`, and
//! then the second does not. So when the epoch is `t + 2` the section is over, and happens before. That the reader found
//! `t` says nothing about what it sees, since it made no fence after that: hence the tag.
//!
//! *Parking.* The announcement comes before the closer's place `c` in the owner's thread, and the closer finds it, or the
//! look at the place comes after `c` and finds the mark, and the owner opens the place and announces again. An announcement
//! that comes before `a` has an opening before it that the advance finds. A thread that registers does the same, and one
//! that has not been started yet begins with a fence: it was switched to.
//!
//! # Who runs callbacks
//!
//! Nobody in `call`, in [`Section`]'s drop, inside a section or inside a callback. Callbacks run in
//! [`Domain::poll`], which [`Guard`]'s drop calls now and then, in [`Domain::barrier`], and when
//! the domain is dropped. A poll moves its own thread's heads on: those that its last poll found waiting become
//! ripe with the next two steps of the epoch. It runs at most twice as many as the thread has queued since, and 64:
//! so no backlog grows, and one that a reader has left behind shrinks by so many at a time. While 64 or more wait it
//! takes as many steps of the epoch as nobody is in the way of. When it has none, and at every
//! eighth poll, it looks round at the others, and moves on those of every record whose owner is gone
//! or has let four epochs pass without polling, and of the orphans, 64 at a time. If it has run as many as it may, the
//! thread polls again at its next guard's drop. Only what it is running itself
//! is ever out of reach of the others. As long as
//! anybody polls, a thread that went idle holds nothing up but with an open section.
//!
//! What a poll costs depends on the records that are not parked: at every eighth one it parks those in which no section
//! is open, nothing is queued, and whose owner has not polled for eight epochs.
//!
//! # Limits
//!
//! - An open section holds up every callback of its domain; how much piles up meanwhile is not
//!   bounded.
//! - If nobody polls, nothing runs before the domain is dropped.
//! - A thread that stops for ever between taking and giving back a queue's lock, or in a callback,
//!   takes that queue's heads, or the rest of its batch, with it. No lock is held while a callback
//!   runs.
//! - Where std has no thread-locals of the target's own to build on (Android, OpenBSD, Windows with
//!   the GNU tools), it allocates them when a thread first comes here, be it in `call`.
//! - In destructors of thread-locals, when the thread's own are gone, every section takes a record
//!   of its own, `poll` does nothing, and `synchronize` and `barrier` cannot tell that they are
//!   called inside a section.
//! - A thread that stops for ever while it parks records keeps the others from that, but from nothing else.

mod chain;
mod epoch;
mod fences;
mod gate;
mod owned;
mod owner;
mod pace;
mod queue;
mod record;
mod records;
mod run;
mod section;
mod signature;
mod status;
mod table;
#[cfg(all(test, not(any(ptfrag_loom, ptfrag_shuttle))))]
mod tests;
mod thread;
mod ticket;
mod time;
mod tree;
mod wait;

use core::{fmt, panic::RefUnwindSafe, ptr::NonNull};

use crate::{
    embed::Rcu,
    rcu_head::{RcuFn, RcuHead},
    sync::{Arc, AtomicBool, Ordering},
};
use epoch::Clock;
use fences::Fences;
pub use owned::OwnedDomain;
use records::Records;
pub use section::{Guard, Section};
pub use status::{DomainStatus, HeadAge, ThreadInTheWay};

/// What the domain's threads share.
///
/// # Invariants
/// It is freed after the last registration of a thread and the [`OwnedDomain`] are gone, and
/// nothing is queued once the latter is.
struct Shared {
    clock: Clock,
    /// The range of the clock whose epochs are tickets, or zero.
    range: u64,
    records: Records,
    /// Set when threads may forget the domain: a hint.
    dropped: AtomicBool,
}

impl Shared {
    fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// An RCU domain in user space: its grace periods wait for its own readers only.
///
/// A program has one, [`global`](Self::global), or one for each part whose readers are not to wait for
/// each other's. A thread remembers the domain that it used last, and finds the others in a table.
///
/// # Threads that end, and programs that do
/// What a thread has queued when it ends is run by the others, or by the next thread that comes. A thread never waits
/// when it ends. In destructors of thread-locals everything works, before and after the domain's own are gone, but that
/// [`poll`](Self::poll) does nothing afterwards.
///
/// A program may end at any time, also while other threads are in sections or run callbacks, and with heads queued:
/// their callbacks then do not run. `exit` does not drop statics, so a domain in one ([`global`](Self::global), say)
/// stays, and functions registered with `atexit` may use it as everybody else. Threads that C code made do so, too.
///
/// # Signal handlers
/// A handler may interrupt a thread anywhere, also in the middle of this domain's code, and open sections of a
/// domain with [`Rcu::read`], load from slots, and retire fragments without a handle. Memory safety rests on this: the
/// thread has been in a section of that domain before the first signal, since its first one allocates and changes what
/// it knows of domains; the handler leaves each section that it opens; and the target has atomics of 64 bits.
/// Nothing else is for handlers: a [`Guard`]'s drop,
/// [`poll`](Self::poll) and [`barrier`](Self::barrier) run callbacks, allocations and [`Frag::give_back`](crate::Frag::give_back)
/// may take a lock that the interrupted thread holds, and a handle is the interrupted thread's.
///
/// # Under a program's allocator
/// A domain, and what a thread needs for its first section in one, is memory of the [system's
/// allocator](std::alloc::System), not of the program's, which may thus be built on a domain: with Linux and glibc nothing
/// here comes back to it but [`status`](Self::status), for a name. (Elsewhere std may, for its own locks and
/// thread-locals.)
///
/// `&Domain` implements [`Rcu`]. A domain is only ever seen through references, from an
/// [`OwnedDomain`] or from [`global`](Self::global), because queued heads may lie in memory that
/// refers to it: it must not move.
///
/// ```
/// use core::ptr::NonNull;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use ptfrag::{OwnedDomain, Rcu, RcuHead};
///
/// static DONE: AtomicBool = AtomicBool::new(false);
/// unsafe extern "C" fn done(_: NonNull<RcuHead>) {
///     DONE.store(true, Ordering::Relaxed);
/// }
///
/// let head = RcuHead::new();
/// let domain = OwnedDomain::new();
/// let guard = domain.read();
/// // SAFETY: the head outlives the domain, and nobody else uses it.
/// unsafe { domain.call(NonNull::from(&head), done) };
/// assert!(!DONE.load(Ordering::Relaxed));
/// drop(guard);
/// domain.barrier();
/// assert!(DONE.load(Ordering::Relaxed));
/// ```
pub struct Domain {
    shared: Arc<Shared>,
}

impl Domain {
    /// Enters a read-side section, to be left by dropping the guard. Sections nest.
    ///
    /// Never waits. The first section of a thread in a domain allocates unless a record of an ended
    /// thread is free. It also works in destructors of thread-locals.
    ///
    /// What happened before a [`call`](Rcu::call) whose callback does not wait for this section is
    /// seen in it; its accesses happen before every other callback.
    #[inline]
    pub fn read(&self) -> Guard<'_> {
        Guard::enter(self)
    }

    /// Tries to move grace periods on, and runs callbacks whose grace period is over: of this thread's at most 64, and two
    /// for each head that it has queued since its last poll, and at most 64 of those of threads that have ended, or that
    /// have not polled for four epochs. Returns how many it ran; zero does not say that nothing waits. What a program has
    /// queued whose threads all go idle stays until somebody calls this now and then, or [`barrier`](Self::barrier).
    ///
    /// Never waits, unless a callback does. Does nothing inside a section of this domain, inside a
    /// callback, and in destructors of thread-locals once the domain's own are gone.
    pub fn poll(&self) -> usize {
        match thread::record(&self.shared) {
            Some(me) if !me.in_section() && !thread::in_callback() => self.shared.poll(me, true),
            _ => 0,
        }
    }

    /// Waits until every section that is open now has ended. They happen before its return, and
    /// every section that it did not wait for sees what happened before the call. It runs no callbacks.
    ///
    /// # Panics
    /// Inside a section of this domain, where it would never return.
    #[track_caller]
    pub fn synchronize(&self) {
        wait::synchronize(&self.shared);
    }

    /// Whether readers make no fence, as [`OwnedDomain::asymmetric`] has it where it can.
    #[must_use]
    pub fn is_asymmetric(&self) -> bool {
        self.shared.clock.fences() == Fences::Asymmetric
    }

    /// What the domain is doing, for an operator: how much waits and for how long, and who is in the way.
    ///
    /// Takes no lock and waits for nobody, at any time, also inside sections and callbacks; it allocates for the name of
    /// a thread. If something is queued it tries to end the epoch afterwards, so that the second call finds who is in the way
    /// also where nobody polls; leave a pause between the two, or it is whoever happens to be in a section. It looks at the
    /// records of all threads that there have ever been at the same time, so it is not for every operation.
    #[must_use]
    pub fn status(&self) -> DomainStatus {
        self.shared.status()
    }

    /// Waits until all callbacks that were queued before, by any thread, have run; they happen
    /// before its return. Runs some or all of them itself. Heads that those queue are not waited
    /// for, and a page can need several on its way home: call it until [`Mm::pages`](crate::Mm::pages) or
    /// the source's count settles. It looks at the records of all threads that there have ever been at the same time: with
    /// 10 000 of them that takes more than a millisecond.
    ///
    /// # Panics
    /// Inside a section of this domain or inside a callback, where it might never return.
    #[track_caller]
    pub fn barrier(&self) {
        wait::barrier(&self.shared);
    }
}

// Callbacks cannot unwind, and nothing else in a domain runs foreign code.
impl RefUnwindSafe for Domain {}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain").finish_non_exhaustive()
    }
}

// SAFETY:
// - When `func` runs and what sections see: the module's documentation.
// - `func` runs only in `poll`, `barrier`, the drop of `Guard` and that of `OwnedDomain`; `Section`
//   does not run anything.
// - `Chain::pop` has done with a head before its `func` is called. `call` ends with the exchange
//   that publishes the head.
// - `call` pushes on a stack and nothing else: without the thread-locals, on the orphans'.
// - Every queue is looked after by whoever polls.
// - Tickets: the module `ticket`.
unsafe impl<'d> Rcu for &'d Domain {
    type Guard = Section<'d>;

    #[inline(always)] // Every allocation enters one.
    fn read(self) -> Section<'d> {
        Section::enter(self)
    }

    #[inline]
    fn lane(self, guard: &Section<'d>) -> usize {
        guard.number()
    }

    #[inline]
    fn covers(self, guard: &Section<'d>) -> bool {
        guard.is_of(&self.shared)
    }

    #[inline]
    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: the caller says that the head is valid.
        let idle = unsafe { head.as_ref() };
        // SAFETY: nobody else uses the head.
        unsafe { idle.set_func(func) };
        let record = match thread::known_record(&self.shared) {
            Some(record) => {
                if record.count_call(&self.shared.clock) {
                    record.queue.gather(&self.shared.clock);
                }
                record
            }
            None => self.shared.records.orphans(),
        };
        // SAFETY: the head is valid and the queue's from here on, and `func` is set.
        unsafe { record.push(head) };
    }

    fn hurry(self) {
        if let Some(record) = thread::known_record(&self.shared) {
            record.hurry();
        }
    }

    #[inline]
    fn ticket(self) -> u64 {
        self.shared.ticket()
    }

    #[inline]
    fn recent_ticket(self) -> u64 {
        self.shared.recent_ticket()
    }

    #[inline]
    fn has_elapsed(self, ticket: u64) -> bool {
        self.shared.has_elapsed(ticket)
    }

    #[inline]
    fn gave(self, ticket: u64) -> bool {
        self.shared.gave(ticket)
    }

    #[inline]
    fn is_current(self, ticket: u64) -> bool {
        self.shared.may_be_current(ticket)
            && thread::known_record(&self.shared).is_some_and(|me| me.is_fence_worth_it(ticket))
            && self.shared.ticket() == ticket
    }
}
