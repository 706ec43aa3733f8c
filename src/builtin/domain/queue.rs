//! A queue of heads: anybody may push, and one thread at a time moves them on.

use core::ptr::{self, NonNull};

use super::{
    chain::Chain,
    epoch::{Clock, Epoch},
};
use crate::{
    builtin::SpinLock,
    embed::RawLock,
    rcu_head::RcuHead,
    sync::{AtomicBool, AtomicPtr, Ordering, UnsafeCell},
};

/// The heads of one record.
///
/// Heads arrive on a stack that is pushed to one by one and only ever emptied whole, so a stack top
/// that comes back (ABA) does no harm. From there they move on together: *waiting*
/// for a grace period, then *ripe*. Moving takes a lock that is only tried for, and that nobody
/// holds while a callback runs or a grace period passes.
///
/// # Invariants
/// - `incoming` begins a chain of queued heads that belongs to the queue.
/// - `batches` is touched only by the thread that holds `lock`, which gives it what happened before
///   the heads in them were queued and before their grace periods ended.
pub(super) struct Queue {
    incoming: AtomicPtr<RcuHead>,
    lock: SpinLock,
    /// Whether `batches` held anything when it was last unlocked: a hint.
    stocked: AtomicBool,
    batches: UnsafeCell<Batches>,
}

/// What has been taken off the stack. Generations count how often it was: the latest one is in
/// `waiting` if anything is, and the one before it in `ripe`.
struct Batches {
    waiting: Chain,
    tag: Epoch,
    ripe: Chain,
    taken: u64,
}

impl Batches {
    /// Moves on what has waited long enough.
    fn ripen(&mut self, clock: &Clock) {
        if self.ripe.is_empty()
            && !self.waiting.is_empty()
            && self.tag.is_over(clock.now_after_readers())
        {
            self.ripe = self.waiting.take();
        }
    }

    /// The latest generation of which nothing is left here.
    fn finished(&self) -> u64 {
        self.taken - u64::from(!self.waiting.is_empty()) - u64::from(!self.ripe.is_empty())
    }
}

impl Queue {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            incoming: AtomicPtr::new(ptr::null_mut()),
            lock: SpinLock::new(),
            stocked: AtomicBool::new(false),
            batches: UnsafeCell::new(Batches {
                waiting: Chain::EMPTY,
                tag: clock.now(),
                ripe: Chain::EMPTY,
                taken: 0,
            }),
        }
    }

    /// Queues `head`. After the exchange neither the head nor the queue is touched: a callback may
    /// already have freed what they lie in.
    ///
    /// # Safety
    /// `head` is valid, nobody else uses it until its callback, and its `func` is set.
    #[inline]
    pub(super) unsafe fn push(&self, head: NonNull<RcuHead>) {
        // SAFETY: the caller says that it is valid.
        let queued = unsafe { head.as_ref() };
        let mut top = self.incoming.load(Ordering::Relaxed);
        loop {
            // SAFETY: the head is not published yet.
            unsafe { queued.set_next(top) };
            // Release: everything before `call` happens before the grace period and the callback.
            // Pairs with the fence in `Clock::tag`, after `take_incoming`; the heads below are
            // covered too, because the stack's changes are all read-modify-writes.
            match self.incoming.compare_exchange_weak(
                top,
                head.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Whether there is something to do here. A hint: it may lag behind.
    pub(super) fn has_work(&self) -> bool {
        // Relaxed: what is missed is found the next time.
        !self.incoming.load(Ordering::Relaxed).is_null() || self.stocked.load(Ordering::Relaxed)
    }

    /// Moves heads on, and takes off at most `limit` ripe ones. If there are any, calls `running`
    /// before anybody else can find out that they are gone. Takes nothing if the queue is locked.
    pub(super) fn detach(&self, clock: &Clock, limit: usize, running: impl FnOnce()) -> Chain {
        if !self.lock.try_lock() {
            return Chain::EMPTY;
        }
        self.with_batches(|batches| {
            batches.ripen(clock);
            if batches.waiting.is_empty() {
                let incoming = self.take_incoming();
                if !incoming.is_empty() {
                    batches.waiting = incoming;
                    // Only now: the tag covers what happened before it.
                    batches.tag = clock.tag();
                    batches.taken += 1;
                }
            }
            let ripe = batches.ripe.split(limit);
            if !ripe.is_empty() {
                running();
            }
            ripe
        })
    }

    /// The generation to wait for so that everything that is queued now has left.
    pub(super) fn goal(&self) -> u64 {
        self.lock.lock();
        self.with_batches(|batches| {
            // Relaxed: what was queued before this call is seen by coherence.
            batches.taken + u64::from(!self.incoming.load(Ordering::Relaxed).is_null())
        })
    }

    /// Whether the generation `goal` has left the queue. Callbacks may still be running.
    pub(super) fn reached(&self, goal: u64) -> bool {
        self.lock.lock();
        self.with_batches(|batches| batches.finished() >= goal)
    }

    /// Takes something off, ripe or not, unless the queue is empty.
    pub(super) fn take_any(&self) -> Chain {
        self.lock.lock();
        self.with_batches(|batches| {
            if !batches.ripe.is_empty() {
                batches.ripe.take()
            } else if !batches.waiting.is_empty() {
                batches.waiting.take()
            } else {
                self.take_incoming()
            }
        })
    }

    fn take_incoming(&self) -> Chain {
        if self.incoming.load(Ordering::Relaxed).is_null() {
            return Chain::EMPTY;
        }
        // Relaxed: the fence in `Clock::tag`, which comes next, makes it an acquire, and a domain
        // that is torn down has no other users.
        let top = self.incoming.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: by the queue's invariant, and nobody else can find these heads any more.
        unsafe { Chain::from_raw(top) }
    }

    /// Works on the batches, and unlocks. The caller has just locked the queue.
    fn with_batches<R>(&self, work: impl FnOnce(&mut Batches) -> R) -> R {
        let (result, stocked) = self.batches.with_mut(|batches| {
            // SAFETY: this thread locked the queue, and unlocks it only below.
            let batches = unsafe { &mut *batches };
            let result = work(batches);
            (result, !batches.waiting.is_empty() || !batches.ripe.is_empty())
        });
        if self.stocked.load(Ordering::Relaxed) != stocked {
            self.stocked.store(stocked, Ordering::Relaxed);
        }
        // SAFETY: this thread locked the queue.
        unsafe { self.lock.unlock() };
        result
    }
}
