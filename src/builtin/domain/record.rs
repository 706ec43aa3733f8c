//! What a domain knows of one thread.

use core::ptr;

use crossbeam_utils::CachePadded;

use super::{
    Shared,
    epoch::{Announcement, Epoch},
    pace::{CALLS_PER_GATHERING, IDLE_DROPS_PER_POLL, LONG_IDLE, NEGLECT},
    queue::Queue,
    signature::Signature,
    tree::Place,
};
use crate::sync::{
    AtomicU64, Backoff, Ordering, Private, PrivatePtr, RealAtomicU64, RealAtomicUsize,
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
    pub(super) reader: CachePadded<Reader>,
    /// Apart from what others look at whenever an epoch is to end: a thread that is in no section
    /// shares nothing that it writes.
    pub(super) owner: CachePadded<Owner>,
    pub(super) queue: CachePadded<Queue>,
    /// Counted over the whole domain.
    number: usize,
    signature: Signature,
}

pub(super) struct Reader {
    pub(super) announcement: Announcement,
    /// One of the above: a hint.
    holder: RealAtomicUsize,
    /// The epoch in which the owner last looked after its queue: a hint.
    polled: RealAtomicU64,
    /// The number of the next one on the stack of free records, or zero. What is read here counts only if the exchange
    /// that follows succeeds.
    next_free: RealAtomicUsize,
}

pub(super) struct Owner {
    pub(super) place: Place,
    /// The domain that the record is of, as far as its owner is concerned.
    pub(super) domain: PrivatePtr<Shared>,
    /// Sections inside others, and some marks: see [`owner`](super::owner).
    pub(super) marks: Private,
    /// Outermost user guards dropped, and heads queued, since the owner last polled.
    pub(super) drops: Private,
    pub(super) calls: Private,
    /// After so many of those drops it polls.
    pub(super) drops_to_poll: Private,
    /// Whether it has entered a section since it last asked for a ticket, or queued a head.
    pub(super) came: Private,
    /// Whether it is to go on polling until there is nothing to do.
    pub(super) hurried: Private,
    /// The epoch in which it last asked, as far as it fits, and how often in that.
    pub(super) asked_in: Private,
    pub(super) asks: Private,
    /// Polls so far.
    pub(super) polls: Private,
    /// The record's number at which the next round of taking over goes on.
    pub(super) cursor: Private,
    /// Odd while the owner runs callbacks.
    pub(super) running: AtomicU64,
    /// Callbacks that this record's owners have run.
    pub(super) ran: RealAtomicU64,
}

// SAFETY: what is private to the owner is touched only by it, and the rest is atomic or a queue, whose
// heads any thread may take and run.
unsafe impl Send for Record {}
// SAFETY: as above.
unsafe impl Sync for Record {}

impl Record {
    fn new(holder: usize, place: Place, number: usize) -> Self {
        Self {
            reader: CachePadded::new(Reader {
                announcement: Announcement::new(),
                holder: RealAtomicUsize::new(holder),
                polled: RealAtomicU64::new(0),
                next_free: RealAtomicUsize::new(0),
            }),
            owner: CachePadded::new(Owner {
                place,
                domain: PrivatePtr::new(ptr::null_mut()),
                marks: Private::new(0),
                drops: Private::new(0),
                calls: Private::new(0),
                drops_to_poll: Private::new(IDLE_DROPS_PER_POLL),
                came: Private::new(0),
                hurried: Private::new(0),
                asked_in: Private::new(0),
                asks: Private::new(0),
                polls: Private::new(0),
                cursor: Private::new(0),
                running: AtomicU64::new(0),
                ran: RealAtomicU64::new(0),
            }),
            queue: CachePadded::new(Queue::new(holder == OWNED)),
            number,
            signature: Signature::none(),
        }
    }

    /// A record that belongs to the caller.
    pub(super) fn owned(place: Place, number: usize) -> Self {
        Self::new(OWNED, place, number)
    }

    /// The record for heads of threads that have none.
    pub(super) fn orphans() -> Self {
        Self::new(ORPHANS, Place::NONE, 0)
    }

    /// Its place among all; the orphans' is zero.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The number of the next one on the stack of free records that this one is on, or is about to be put on.
    pub(super) fn next_free(&self) -> usize {
        self.reader.next_free.load(Ordering::Relaxed)
    }

    pub(super) fn set_next_free(&self, next: usize) {
        self.reader.next_free.store(next, Ordering::Relaxed);
    }

    /// Says that somebody owns it now, and who.
    pub(super) fn take(&self, signed: bool) {
        self.reader.holder.store(OWNED, Ordering::Relaxed);
        if signed {
            self.signature.sign();
        } else {
            self.signature.clear();
        }
    }

    /// Says that nobody owns it any more.
    pub(super) fn give_up(&self) {
        self.reader.holder.store(FREE, Ordering::Relaxed);
    }

    pub(super) fn note_poll(&self, now: Epoch) {
        // Relaxed: a hint.
        self.reader.polled.store(now.to_bits(), Ordering::Relaxed);
    }

    /// Where the owner last did that, or came.
    pub(super) fn polled(&self) -> Epoch {
        Epoch::from_bits(self.reader.polled.load(Ordering::Relaxed))
    }

    /// Whether others should look after this record's queue: nobody owns it, or its owner has not
    /// come round for a while. A hint.
    pub(super) fn is_neglected(&self, now: Epoch) -> bool {
        !self.is_owned() || self.polled().age(now) >= NEGLECT
    }

    /// Whether the record is worth the trouble to find out if it can be parked. A hint.
    pub(super) fn seems_idle(&self, now: Epoch) -> bool {
        self.polled().age(now) >= LONG_IDLE
            && self.announcement().is_none()
            && !self.queue.has_work()
    }

    /// Whether no section is open and nothing is queued. Then whoever queues something opens the place.
    pub(super) fn is_idle(&self) -> bool {
        self.announcement().is_none() && self.queue.park()
    }

    pub(super) fn ran(&self) -> u64 {
        self.owner.ran.load(Ordering::Relaxed)
    }

    /// About how many heads are queued here.
    pub(super) fn queued(&self) -> usize {
        let arrived = self.owner.calls.get().clamp(1, CALLS_PER_GATHERING);
        self.queue.stock() + if self.queue.has_arrivals() { arrived } else { 0 }
    }

    pub(super) fn is_owned(&self) -> bool {
        self.reader.holder.load(Ordering::Relaxed) == OWNED
    }

    pub(super) fn is_free(&self) -> bool {
        self.reader.holder.load(Ordering::Relaxed) == FREE
    }

    /// Whether nobody looks at it, for the moment.
    pub(super) fn is_parked(&self) -> bool {
        self.owner.place.is_closed()
    }

    /// Who has it.
    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(super) fn announcement(&self) -> &Announcement {
        &self.reader.announcement
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
}
