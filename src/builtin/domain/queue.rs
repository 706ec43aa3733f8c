//! A queue of heads: anybody may push, and one thread at a time moves them on.

use core::ptr::{self, NonNull};

use super::{
    chain::Chain,
    epoch::{Clock, EPOCHS, Epoch},
    time,
};
use crate::{
    builtin::SpinLock,
    embed::RawLock,
    rcu_head::RcuHead,
    sync::{AtomicPtr, Ordering, RealAtomicU64, RealAtomicUsize, UnsafeCell},
};

/// The heads of one record.
///
/// Heads arrive on a stack that is pushed to one by one and only ever emptied whole, so a stack top
/// that comes back (ABA) does no harm. From there they move on together: they wait for a grace period,
/// sorted by the epoch in which it began, and then they are *ripe*. Moving takes a lock that is only
/// tried for, and that nobody holds while a callback runs or a grace period passes.
///
/// # Invariants
/// - `incoming` begins a chain of queued heads that belongs to the queue.
/// - `batches` is touched only by the thread that holds `lock`, which gives it what happened before
///   the heads in them were queued and before their grace periods ended.
pub(super) struct Queue {
    incoming: AtomicPtr<RcuHead>,
    lock: SpinLock,
    /// How many heads `batches` held when it was last unlocked: a hint.
    stock: RealAtomicUsize,
    /// The epoch in which the oldest of them began to wait, and when that was.
    oldest: [RealAtomicU64; 2],
    batches: UnsafeCell<Batches>,
}

/// On the stack: nothing, and nobody looks for anything here.
const PARKED: *mut RcuHead = ptr::without_provenance_mut(1);

/// Heads whose grace period began in one epoch.
struct Batch {
    heads: Chain,
    tag: Epoch,
    /// When the first of them was tagged.
    since: u64,
}

impl Batch {
    const NONE: Self = Self { heads: Chain::EMPTY, tag: Epoch::LONG_AGO, since: 0 };
}

/// What has been taken off the stack, in the order in which it was.
struct Batches {
    ripe: Batch,
    /// Each has the place of its tag.
    waiting: [Batch; EPOCHS],
    /// Heads that were ever taken off the stack.
    taken: u64,
}

impl Batches {
    fn new() -> Self {
        Self { ripe: Batch::NONE, waiting: [Batch::NONE; EPOCHS], taken: 0 }
    }

    /// Moves on what has waited long enough.
    fn ripen(&mut self, clock: &Clock) {
        if self.waiting.iter().all(|batch| batch.heads.is_empty()) {
            return;
        }
        let now = clock.now_after_readers();
        let is_over = |batch: &&mut Batch| !batch.heads.is_empty() && batch.tag.is_over(now);
        while let Some(batch) = self.waiting.iter_mut().filter(is_over).min_by_key(|it| it.tag) {
            if self.ripe.heads.is_empty() {
                (self.ripe.tag, self.ripe.since) = (batch.tag, batch.since);
            }
            self.ripe.heads.append(batch.heads.take());
        }
    }

    /// Has `heads` wait for the grace period that begins in `tag`. What is over by then has been moved on, so whatever
    /// has the same place has the same tag.
    fn wait(&mut self, heads: Chain, tag: Epoch) {
        self.taken += heads.len() as u64;
        let batch = &mut self.waiting[tag.place()];
        debug_assert!(batch.heads.is_empty() || batch.tag == tag);
        if batch.heads.is_empty() {
            (batch.tag, batch.since) = (tag, time::now());
        }
        batch.heads.append(heads);
    }

    fn stock(&self) -> usize {
        self.ripe.heads.len() + self.waiting.iter().map(|batch| batch.heads.len()).sum::<usize>()
    }

    fn oldest(&self) -> Option<&Batch> {
        let waiting = || self.waiting.iter().filter(|batch| !batch.heads.is_empty());
        let first = || waiting().min_by_key(|batch| batch.tag);
        if self.ripe.heads.is_empty() { first() } else { Some(&self.ripe) }
    }
}

fn is_empty(top: *mut RcuHead) -> bool {
    top.is_null() || top == PARKED
}

impl Queue {
    /// An empty one, where nobody looks before somebody opens the place of the record if it is `parked`.
    pub(super) fn new(parked: bool) -> Self {
        Self {
            incoming: AtomicPtr::new(if parked { PARKED } else { ptr::null_mut() }),
            lock: SpinLock::new(),
            stock: RealAtomicUsize::new(0),
            oldest: [RealAtomicU64::new(0), RealAtomicU64::new(0)],
            batches: UnsafeCell::new(Batches::new()),
        }
    }

    /// Queues `head`, and calls `open` before if the record was parked. After the exchange neither the head nor the
    /// queue is touched: a callback may already have freed what they lie in.
    ///
    /// # Safety
    /// `head` is valid, nobody else uses it until its callback, and its `func` is set.
    #[inline]
    pub(super) unsafe fn push(&self, head: NonNull<RcuHead>, open: impl Fn()) {
        // SAFETY: the caller says that it is valid.
        let queued = unsafe { head.as_ref() };
        let mut top = self.incoming.load(Ordering::Relaxed);
        loop {
            if top == PARKED {
                top = self.unpark(&open);
                continue;
            }
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

    /// Takes the mark away and opens the record's place, and returns what is on the stack now.
    ///
    /// In this order: whoever parks the record after that leaves another mark, so that the push fails. And before the
    /// head can be found: afterwards nothing may be touched.
    #[cold]
    fn unpark(&self, open: impl Fn()) -> *mut RcuHead {
        // Relaxed: nothing is passed on.
        let marked = self.incoming.compare_exchange(
            PARKED,
            ptr::null_mut(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        match marked {
            Ok(_) => {
                open();
                ptr::null_mut()
            }
            Err(now) => now,
        }
    }

    /// Whether there is something to do here. A hint: it may lag behind.
    pub(super) fn has_work(&self) -> bool {
        // Relaxed: what is missed is found the next time.
        self.has_arrivals() || self.stock() != 0
    }

    /// Whether something is on the stack. A hint, likewise.
    pub(super) fn has_arrivals(&self) -> bool {
        !is_empty(self.incoming.load(Ordering::Relaxed))
    }

    /// When the oldest of what has been taken off the stack began to wait: the epoch, and the time.
    pub(super) fn oldest(&self) -> Option<(Epoch, u64)> {
        let [tag, since] = self.oldest.each_ref().map(|word| word.load(Ordering::Relaxed));
        (self.stock() != 0).then(|| (Epoch::from_bits(tag), since))
    }

    /// Whether nothing is queued, for sure. If so, whoever queues something opens the record's place first.
    pub(super) fn park(&self) -> bool {
        self.lock.try_lock()
            && self.with_batches(|batches| {
                let parked = || {
                    // Relaxed: an exchange does not miss what was pushed before.
                    let found = self.incoming.compare_exchange(
                        ptr::null_mut(),
                        PARKED,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    found.map_or_else(|found| found == PARKED, |_| true)
                };
                batches.stock() == 0 && parked()
            })
    }

    /// How many heads have been taken off the stack and are still here. A hint, likewise.
    pub(super) fn stock(&self) -> usize {
        self.stock.load(Ordering::Relaxed)
    }

    /// Moves heads on, and takes off at most `limit` ripe ones. If there are any, calls `running`
    /// before anybody else can find out that they are gone. `None` if the queue is locked.
    pub(super) fn detach(
        &self,
        clock: &Clock,
        limit: usize,
        running: impl FnOnce(),
    ) -> Option<Chain> {
        if !self.lock.try_lock() {
            return None;
        }
        Some(self.with_batches(|batches| {
            self.move_on(batches, clock);
            let ripe = batches.ripe.heads.split(limit);
            if !ripe.is_empty() {
                running();
            }
            ripe
        }))
    }

    /// Takes what has arrived off the stack, so that it does not grow long: whoever empties it goes along
    /// all of it. Does nothing if the queue is locked.
    #[cold]
    pub(super) fn gather(&self, clock: &Clock) {
        if self.lock.try_lock() {
            self.with_batches(|batches| self.move_on(batches, clock));
        }
    }

    fn move_on(&self, batches: &mut Batches, clock: &Clock) {
        let incoming = self.take_incoming();
        // Only now: the tag covers what happened before it.
        let tag = (!incoming.is_null()).then(|| clock.tag());
        batches.ripen(clock);
        if let Some(tag) = tag {
            // SAFETY: by the queue's invariant, and nobody else can find these heads any more. The
            // fence before the tag made the taking of the stack an acquire.
            batches.wait(unsafe { Chain::from_raw(incoming) }, tag);
        }
    }

    /// How many heads have to leave the queue, of all that ever do, until everything that is in it now is
    /// gone.
    pub(super) fn goal(&self, clock: &Clock) -> u64 {
        self.lock.lock();
        self.with_batches(|batches| {
            // What was queued before this call is seen by coherence.
            self.move_on(batches, clock);
            batches.taken
        })
    }

    /// Whether so many have left. Their callbacks may still be running.
    pub(super) fn reached(&self, goal: u64) -> bool {
        self.lock.lock();
        self.with_batches(|batches| batches.taken - batches.stock() as u64 >= goal)
    }

    /// Takes everything off, ripe or not.
    ///
    /// # Safety
    /// Nobody else uses the domain any more.
    pub(super) unsafe fn take_all(&self) -> Chain {
        self.lock.lock();
        self.with_batches(|batches| {
            let mut all = batches.ripe.heads.take();
            batches.waiting.iter_mut().for_each(|batch| all.append(batch.heads.take()));
            // SAFETY: by the queue's invariant; the caller says that whoever queued has come to an end.
            all.append(unsafe { Chain::from_raw(self.take_incoming()) });
            all
        })
    }

    fn take_incoming(&self) -> *mut RcuHead {
        if is_empty(self.incoming.load(Ordering::Relaxed)) {
            return ptr::null_mut();
        }
        // Relaxed: the fence in `Clock::tag`, which comes next, makes it an acquire, and a domain
        // that is torn down has no other users.
        self.incoming.swap(ptr::null_mut(), Ordering::Relaxed)
    }

    /// Works on the batches, and unlocks. The caller has just locked the queue.
    fn with_batches<R>(&self, work: impl FnOnce(&mut Batches) -> R) -> R {
        let (result, stock) = self.batches.with_mut(|batches| {
            // SAFETY: this thread locked the queue, and unlocks it only below.
            let batches = unsafe { &mut *batches };
            let result = work(batches);
            if let Some(oldest) = batches.oldest() {
                let seen = [oldest.tag.to_bits(), oldest.since];
                for (word, seen) in self.oldest.iter().zip(seen) {
                    word.store(seen, Ordering::Relaxed);
                }
            }
            (result, batches.stock())
        });
        if self.stock() != stock {
            self.stock.store(stock, Ordering::Relaxed);
        }
        // SAFETY: this thread locked the queue.
        unsafe { self.lock.unlock() };
        result
    }
}
