//! What a domain knows of one thread.

use core::{
    ptr::{self, NonNull},
    sync::atomic::compiler_fence,
};

use crossbeam_utils::CachePadded;

use super::{
    ASKS_WITHOUT_A_FENCE, CALLS_PER_GATHERING, CALLS_PER_POLL, DROPS_PER_POLL, IDLE_DROPS_PER_POLL,
    LONG_IDLE, NEGLECT, POLLS_PER_ROUND, Shared,
    epoch::{Announcement, Clock, Epoch},
    queue::Queue,
    records::Place,
};
use crate::{
    rcu_head::RcuHead,
    sync::{AtomicPtr, AtomicU64, AtomicUsize, Backoff, Ordering, Private, PrivatePtr, UnsafeCell},
};

/// Nobody owns the record.
const FREE: usize = 0;
/// A thread owns it.
const OWNED: usize = 1;
/// It is the domain's own, for heads of threads that have no record.
const ORPHANS: usize = 2;

/// A thread's place in a domain. Once made it stays a record of the domain until that is freed; one
/// thread after another may own it.
///
/// # Invariants
/// - `owner` is touched only by the owner, and by signal handlers that interrupt it, but for its atomics.
/// - `announcement` shows an epoch while a section is open.
/// - When no place is open for the record, and none was when the owner made its last full fence, no section
///   is open and nothing is queued.
pub(super) struct Record {
    reader: CachePadded<Reader>,
    /// Apart from what others look at whenever an epoch is to end: a thread that is in no section
    /// shares nothing that it writes.
    owner: CachePadded<Owner>,
    pub(super) queue: CachePadded<Queue>,
}

struct Reader {
    announcement: Announcement,
    holder: AtomicUsize,
    next_free: AtomicPtr<Record>,
}

struct Owner {
    place: Place,
    /// The domain that the record is of, as far as its owner is concerned.
    domain: PrivatePtr<Shared>,
    /// Open sections, in units of [`SECTION`], and the marks [`ENTERED`], [`TRANSIENT`] and [`FRESH`].
    sections: Private,
    /// Outermost user guards dropped, and heads queued, since the owner last polled.
    drops: Private,
    calls: Private,
    /// After so many of those drops it polls.
    drops_to_poll: Private,
    /// Whether it has entered a section since it last asked for a ticket, or queued a head.
    came: Private,
    /// Whether it is to go on polling until there is nothing to do.
    hurried: Private,
    own: UnsafeCell<Own>,
    /// Odd while the owner runs callbacks.
    running: AtomicU64,
    /// The epoch in which the owner last looked after its queue: a hint.
    polled: AtomicU64,
}

/// In `sections`: the announcement stands, and the record is looked at. Without it an open section is
/// still on its way there.
const ENTERED: usize = 1;
/// In `sections`: the record goes back with the last section, since no thread-local remembers it.
const TRANSIENT: usize = 2;
/// In `sections`: the owner has not been in a section yet, and the record may not be looked at.
const FRESH: usize = 4;
/// In `sections`: one section.
const SECTION: usize = 8;

/// What only the owner touches, and no signal handler.
struct Own {
    /// The epoch in which it last asked, and how often in that.
    asked_in: u64,
    asks: u32,
    /// Polls so far.
    polls: u32,
    /// The record's number at which the next round of taking over goes on.
    cursor: usize,
}

// SAFETY: what is private to the owner is touched only by it, and the rest is atomic or a queue, whose
// heads any thread may take and run.
unsafe impl Send for Record {}
// SAFETY: as above.
unsafe impl Sync for Record {}

impl Record {
    fn new(holder: usize, place: Place) -> Self {
        Self {
            reader: CachePadded::new(Reader {
                announcement: Announcement::new(),
                holder: AtomicUsize::new(holder),
                next_free: AtomicPtr::new(ptr::null_mut()),
            }),
            owner: CachePadded::new(Owner {
                place,
                domain: PrivatePtr::new(ptr::null_mut()),
                sections: Private::new(0),
                drops: Private::new(0),
                calls: Private::new(0),
                drops_to_poll: Private::new(IDLE_DROPS_PER_POLL),
                came: Private::new(0),
                hurried: Private::new(0),
                own: UnsafeCell::new(Own { asked_in: 0, asks: 0, polls: 0, cursor: 0 }),
                running: AtomicU64::new(0),
                polled: AtomicU64::new(0),
            }),
            queue: CachePadded::new(Queue::new()),
        }
    }

    /// A record that belongs to the caller.
    pub(super) fn owned(place: Place) -> Self {
        Self::new(OWNED, place)
    }

    /// The record for heads of threads that have none.
    pub(super) fn orphans() -> Self {
        Self::new(ORPHANS, Place::NONE)
    }

    /// Its place among all.
    pub(super) fn number(&self) -> usize {
        self.owner.place.number
    }

    /// The next one on the stack of free records that this one is on, or is about to be put on.
    pub(super) fn next_free(&self) -> *mut Self {
        self.reader.next_free.load(Ordering::Relaxed)
    }

    pub(super) fn set_next_free(&self, next: *mut Self) {
        self.reader.next_free.store(next, Ordering::Relaxed);
    }

    /// Makes the caller the owner. The counts go on: threads that each do a little, and end, poll as often as one
    /// that does it all.
    ///
    /// # Safety
    /// Nobody owns it, and whoever last did happens before this.
    pub(super) unsafe fn claim(&self, domain: &Shared, transient: bool) {
        self.reader.holder.store(OWNED, Ordering::Relaxed);
        self.owner.domain.set(ptr::from_ref(domain).cast_mut());
        self.owner.sections.set(if transient { FRESH | TRANSIENT } else { FRESH });
        self.note_poll(domain.clock.now());
    }

    /// The domain. Only for the owner.
    #[inline]
    pub(super) fn domain(&self) -> *const Shared {
        self.owner.domain.get()
    }

    /// Says that nobody owns it any more.
    pub(super) fn give_up(&self) {
        self.reader.holder.store(FREE, Ordering::Relaxed);
    }

    /// To be called when the thread forgets the record: whether it is to be given up now. If not it is with its
    /// last section. If that was leaked, never.
    pub(super) fn resign(&self) -> bool {
        let sections = &self.owner.sections;
        sections.set(sections.get() | TRANSIENT);
        !self.in_section()
    }

    /// Opens a section. Only for the owner, and for a signal handler that interrupts it anywhere.
    #[inline]
    pub(super) fn enter(&self, clock: &Clock) {
        let sections = self.owner.sections.get();
        if sections & ENTERED != 0 {
            // Only leaked sections get there. Wrapping would end sections that are still open.
            let more = sections.checked_add(SECTION).expect("ptfrag: too many sections are open");
            self.owner.sections.set(more);
            return;
        }
        let more = sections + SECTION;
        self.owner.sections.set(more);
        self.owner.came.set(1);
        if sections != 0 {
            // The first one, or one in a handler that interrupts another on its way here.
            self.owner.place.open();
        }
        self.reader.announcement.enter(clock.now());
        // SAFETY: the caller owns the record.
        let is_open = unsafe { self.owner.place.is_open() };
        if !is_open {
            self.come_back(clock);
        }
        // Only now: a handler that comes before does all of it itself.
        self.owner.sections.set((more & !FRESH) | ENTERED);
    }

    /// Has the record looked at again, after it was parked or while that is going on.
    #[cold]
    fn come_back(&self, clock: &Clock) {
        loop {
            self.owner.place.open();
            // In the time in which nobody looked the epoch may have moved on.
            let now = clock.now();
            self.note_poll(now);
            self.reader.announcement.enter(now);
            // SAFETY: the caller owns the record.
            if unsafe { self.owner.place.is_open() } {
                return;
            }
        }
    }

    /// Closes a section that this thread opened, and tells whether the record is to be released: it is nobody's
    /// any more.
    #[inline]
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        let sections = self.owner.sections.get();
        if sections >= 2 * SECTION {
            self.owner.sections.set(sections - SECTION);
            return false;
        }
        self.leave_outermost(sections & TRANSIENT);
        sections & TRANSIENT != 0
    }

    #[inline]
    fn leave_outermost(&self, rest: usize) {
        // A handler that comes after the next line has a section of its own. What this one did must not be put off
        // until then.
        compiler_fence(Ordering::SeqCst);
        self.owner.sections.set(rest);
        self.reader.announcement.leave();
    }

    /// Closes a user's section as [`leave`](Self::leave) does, unless that has more to do than to close the outermost
    /// one. Whether it has, and otherwise whether it is time to poll.
    #[inline]
    pub(super) fn leave_and_count(&self) -> Option<bool> {
        let owner = &self.owner;
        if owner.sections.get() != SECTION | ENTERED {
            return None;
        }
        self.leave_outermost(0);
        let drops = owner.drops.get() + 1;
        owner.drops.set(drops);
        Some(drops >= owner.drops_to_poll.get() || owner.calls.get() >= CALLS_PER_POLL)
    }

    /// Whether the owner has a section open. Only for the owner.
    pub(super) fn in_section(&self) -> bool {
        self.owner.sections.get() >= SECTION
    }

    /// Counts a head that the owner is about to queue, and tells whether it is time to gather those before.
    #[inline]
    pub(super) fn count_call(&self) -> bool {
        let calls = self.owner.calls.get().wrapping_add(1);
        self.owner.calls.set(calls);
        self.owner.drops_to_poll.set(DROPS_PER_POLL);
        self.owner.came.set(0);
        calls % CALLS_PER_GATHERING == 0
    }

    /// Queues a head.
    ///
    /// # Safety
    /// As for [`Queue::push`].
    #[inline]
    pub(super) unsafe fn push(&self, head: NonNull<RcuHead>) {
        // SAFETY: passed on to the caller.
        unsafe { self.queue.push(head, &self.owner.place) };
    }

    /// Whether a fence is worth it to find out whether the ticket of this epoch is current: it is where the
    /// thread does nothing but retire, and where the epoch does not move on for long.
    pub(super) fn is_fence_worth_it(&self, epoch: u64) -> bool {
        let came = self.owner.came.get() != 0;
        self.owner.came.set(0);
        self.with_own(|own| {
            if own.asked_in != epoch {
                (own.asked_in, own.asks) = (epoch, 0);
            }
            own.asks = own.asks.saturating_add(1);
            !came || own.asks > ASKS_WITHOUT_A_FENCE
        })
    }

    /// Has the owner poll at its next outermost drop, and go on until there is nothing to do.
    pub(super) fn hurry(&self) {
        self.owner.calls.set(self.owner.calls.get().max(CALLS_PER_POLL));
        self.owner.hurried.set(1);
    }

    /// Whether that was asked for; it is not any more.
    pub(super) fn take_hurry(&self) -> bool {
        let hurried = self.owner.hurried.get();
        self.owner.hurried.set(0);
        hurried != 0
    }

    /// Begins a poll of the owner, who has heads of its own if `busy`, and says whether it is one
    /// that looks round at the others, and how many heads it has queued since the last one.
    pub(super) fn begin_poll(&self, now: Epoch, busy: bool) -> (bool, usize) {
        let called = self.owner.calls.get();
        self.owner.calls.set(0);
        self.owner.drops.set(0);
        self.owner.drops_to_poll.set(if busy { DROPS_PER_POLL } else { IDLE_DROPS_PER_POLL });
        self.note_poll(now);
        self.with_own(|own| {
            own.polls = own.polls.wrapping_add(1);
            (own.polls % POLLS_PER_ROUND == 0, called)
        })
    }

    fn note_poll(&self, now: Epoch) {
        // Relaxed: a hint.
        self.owner.polled.store(now.to_bits(), Ordering::Relaxed);
    }

    /// Whether others should look after this record's queue: nobody owns it, or its owner has not
    /// come round for a while. A hint.
    pub(super) fn is_neglected(&self, now: Epoch) -> bool {
        let polled = Epoch::from_bits(self.owner.polled.load(Ordering::Relaxed));
        self.reader.holder.load(Ordering::Relaxed) != OWNED || polled.age(now) >= NEGLECT
    }

    /// Whether the record is worth the trouble to find out if it can be parked. A hint.
    pub(super) fn seems_idle(&self, now: Epoch) -> bool {
        let polled = Epoch::from_bits(self.owner.polled.load(Ordering::Relaxed));
        polled.age(now) >= LONG_IDLE && self.announcement().is_none() && !self.queue.has_work()
    }

    /// Whether no section is open and nothing is queued. Then whoever queues something opens the place.
    pub(super) fn is_idle(&self) -> bool {
        self.announcement().is_none() && self.queue.park()
    }

    /// Where the owner's next round of taking over goes on.
    pub(super) fn cursor(&self) -> usize {
        self.with_own(|own| own.cursor)
    }

    pub(super) fn set_cursor(&self, cursor: usize) {
        self.with_own(|own| own.cursor = cursor);
    }

    pub(super) fn announcement(&self) -> &Announcement {
        &self.reader.announcement
    }

    /// Says that the owner begins, or has ended, running callbacks.
    pub(super) fn toggle_running(&self) {
        let running = &self.owner.running;
        // Release: the callbacks so far happen before whoever waits for them goes on. Pairs with
        // the acquire in `wait_for_callbacks`. Only the owner writes, so nothing gets lost between
        // the load and the store.
        running.store(running.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Waits until the owner is not in the callbacks any more that it is running now, if any.
    pub(super) fn wait_for_callbacks(&self) {
        let backoff = Backoff::new();
        // Acquire, also below: pairs with `toggle_running`. That the mark of whoever emptied a
        // queue is seen comes from the queue's lock.
        let seen = self.owner.running.load(Ordering::Acquire);
        while seen % 2 == 1 && self.owner.running.load(Ordering::Acquire) == seen {
            backoff.snooze();
        }
    }

    #[inline]
    fn with_own<R>(&self, work: impl FnOnce(&mut Own) -> R) -> R {
        self.owner.own.with_mut(|own| {
            // SAFETY: only the owner calls this, and `work` is one of the small closures above,
            // none of which comes back here.
            work(unsafe { &mut *own })
        })
    }
}
