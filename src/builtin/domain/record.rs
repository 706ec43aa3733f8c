//! What a domain knows of one thread.

use core::{mem, ptr};

use crossbeam_utils::CachePadded;

use super::{
    ASKS_WITHOUT_A_FENCE, CALLS_PER_POLL, DROPS_PER_POLL, IDLE_DROPS_PER_POLL, NEGLECT,
    POLLS_PER_ROUND,
    epoch::{Announcement, Clock, Epoch},
    queue::Queue,
};
use crate::sync::{AtomicU64, AtomicUsize, Backoff, Ordering, UnsafeCell};

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
/// - `own` is touched only by the owner: the thread that made the record, or set `holder` from free
///   to owned.
/// - `next` does not change once the record is in the list.
/// - `announcement` shows an epoch exactly while `own.nesting` is not zero.
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
    next: UnsafeCell<*const Record>,
}

struct Owner {
    own: UnsafeCell<Own>,
    /// Odd while the owner runs callbacks.
    running: AtomicU64,
    /// The epoch in which the owner last looked after its queue: a hint.
    polled: AtomicU64,
}

/// What only the owner touches.
struct Own {
    /// Open sections.
    nesting: usize,
    /// The record goes back with the last section: no thread-local remembers it.
    transient: bool,
    /// Outermost user guards dropped, and heads queued, since the owner last polled.
    drops: u32,
    calls: u32,
    /// After so many of those drops it polls.
    drops_to_poll: u32,
    /// It has entered a section since it last asked for a ticket, or queued a head.
    entered: bool,
    /// The epoch in which it last asked, and how often in that.
    asked_in: u64,
    asks: u32,
    /// It is to go on polling until there is nothing to do.
    hurried: bool,
    /// Polls so far.
    polls: u32,
    /// The record at which the next round of taking over goes on.
    cursor: *const Record,
}

impl Own {
    const fn new(transient: bool) -> Self {
        Self {
            nesting: 0,
            transient,
            drops: 0,
            calls: 0,
            drops_to_poll: IDLE_DROPS_PER_POLL,
            entered: false,
            asked_in: 0,
            asks: 0,
            hurried: false,
            polls: 0,
            cursor: ptr::null(),
        }
    }
}

// SAFETY: `own` is touched only by the owner, `next` only before the record is in the list, and the
// rest is atomic or a queue, whose heads any thread may take and run.
unsafe impl Send for Record {}
// SAFETY: as above.
unsafe impl Sync for Record {}

impl Record {
    fn new(clock: &Clock, holder: usize, transient: bool) -> Self {
        Self {
            reader: CachePadded::new(Reader {
                announcement: Announcement::new(),
                holder: AtomicUsize::new(holder),
                next: UnsafeCell::new(ptr::null()),
            }),
            owner: CachePadded::new(Owner {
                own: UnsafeCell::new(Own::new(transient)),
                running: AtomicU64::new(0),
                polled: AtomicU64::new(clock.now().to_bits()),
            }),
            queue: CachePadded::new(Queue::new(clock)),
        }
    }

    /// A record that belongs to the caller.
    pub(super) fn owned(clock: &Clock, transient: bool) -> Self {
        Self::new(clock, OWNED, transient)
    }

    /// The record for heads of threads that have none.
    pub(super) fn orphans(clock: &Clock) -> Self {
        Self::new(clock, ORPHANS, false)
    }

    /// The next record of the list.
    pub(super) fn next(&self) -> *const Self {
        // SAFETY: it was last written before the record could be found.
        self.reader.next.with(|next| unsafe { *next })
    }

    /// Links the record in front of `next`.
    ///
    /// # Safety
    /// The record is the caller's own, and not in the list yet.
    pub(super) unsafe fn set_next(&self, next: *const Self) {
        // SAFETY: nobody else can find the record.
        self.reader.next.with_mut(|slot| unsafe { *slot = next });
    }

    /// Makes the caller the owner, if there is none.
    pub(super) fn try_claim(&self, clock: &Clock, transient: bool) -> bool {
        let holder = &self.reader.holder;
        // Acquire: the last owner's doings happen before the new one's. Pairs with `release`. The
        // load before it only spares taken records the exchange.
        if holder.load(Ordering::Relaxed) != FREE
            || holder.compare_exchange(FREE, OWNED, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return false;
        }
        self.with_own(|own| *own = Own::new(transient));
        self.note_poll(clock.now());
        true
    }

    /// Gives the record up. Its queue stays for others to look after.
    pub(super) fn release(&self) {
        // Release: pairs with `try_claim`.
        self.reader.holder.store(FREE, Ordering::Release);
    }

    /// Gives the record up when the thread forgets it: now, or with its last section. If that was
    /// leaked, never.
    pub(super) fn resign(&self) {
        let idle = self.with_own(|own| {
            own.transient = true;
            own.nesting == 0
        });
        if idle {
            self.release();
        }
    }

    /// Opens a section. Only for the owner.
    #[inline]
    pub(super) fn enter(&self, clock: &Clock) {
        let outermost = self.with_own(|own| {
            // Only leaked sections get there. Wrapping would end sections that are still open.
            own.nesting = own.nesting.checked_add(1).expect("ptfrag: too many sections are open");
            own.entered = true;
            own.nesting == 1
        });
        if outermost {
            self.reader.announcement.enter(clock.now());
        }
    }

    /// Closes a section that this thread opened. The record may be another's afterwards.
    #[inline]
    pub(super) fn leave(&self) {
        let (outermost, transient) = self.with_own(|own| {
            own.nesting -= 1;
            (own.nesting == 0, own.transient)
        });
        if outermost {
            self.reader.announcement.leave();
            if transient {
                self.release();
            }
        }
    }

    /// Closes a user's section as [`leave`](Self::leave) does, and tells whether it is time to
    /// poll. If so, the record is still the caller's.
    #[inline]
    pub(super) fn leave_and_count(&self) -> bool {
        let due = self.with_own(|own| {
            own.drops += u32::from(own.nesting == 1);
            own.nesting == 1
                && !own.transient
                && (own.drops >= own.drops_to_poll || own.calls >= CALLS_PER_POLL)
        });
        self.leave();
        due
    }

    /// Whether the owner has a section open. Only for the owner.
    pub(super) fn in_section(&self) -> bool {
        self.with_own(|own| own.nesting != 0)
    }

    /// Counts a head that the owner is about to queue.
    #[inline]
    pub(super) fn count_call(&self) {
        self.with_own(|own| {
            own.calls = own.calls.saturating_add(1);
            own.drops_to_poll = DROPS_PER_POLL;
            own.entered = false;
        });
    }

    /// Whether a fence is worth it to find out whether the ticket of this epoch is current: it is where the
    /// thread does nothing but retire, and where the epoch does not move on for long.
    pub(super) fn is_fence_worth_it(&self, epoch: u64) -> bool {
        self.with_own(|own| {
            if own.asked_in != epoch {
                (own.asked_in, own.asks) = (epoch, 0);
            }
            own.asks = own.asks.saturating_add(1);
            !mem::take(&mut own.entered) || own.asks > ASKS_WITHOUT_A_FENCE
        })
    }

    /// Has the owner poll at its next outermost drop, and go on until there is nothing to do.
    pub(super) fn hurry(&self) {
        self.with_own(|own| {
            own.calls = CALLS_PER_POLL;
            own.hurried = true;
        });
    }

    /// Whether that was asked for; it is not any more.
    pub(super) fn take_hurry(&self) -> bool {
        self.with_own(|own| mem::take(&mut own.hurried))
    }

    /// Begins a poll of the owner, who has heads of its own if `busy`, and says whether it is one
    /// that looks round at the others.
    pub(super) fn begin_poll(&self, now: Epoch, busy: bool) -> bool {
        let polls = self.with_own(|own| {
            own.drops = 0;
            own.calls = 0;
            own.drops_to_poll = if busy { DROPS_PER_POLL } else { IDLE_DROPS_PER_POLL };
            own.polls = own.polls.wrapping_add(1);
            own.polls
        });
        self.note_poll(now);
        polls % POLLS_PER_ROUND == 0
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

    /// Where the owner's next round of taking over goes on.
    pub(super) fn cursor(&self) -> *const Self {
        self.with_own(|own| own.cursor)
    }

    pub(super) fn set_cursor(&self, cursor: *const Self) {
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
