//! What a thread does with the record that it owns.
//!
//! A signal handler may interrupt the owner anywhere and open sections of its own, retire, and ask for tickets.
//! So what it shares with the owner are words that are read and written one by one, each of them right at any time.

use core::{
    ptr::{self, NonNull},
    sync::atomic::compiler_fence,
};

use super::{
    Shared,
    epoch::{Clock, Epoch},
    fences::Fences,
    pace::{
        ASKS_WITHOUT_A_FENCE, CALLS_PER_GATHERING, CALLS_PER_POLL, DROPS_PER_POLL,
        IDLE_DROPS_PER_POLL, POLLS_PER_ROUND,
    },
    record::Record,
};
use crate::{rcu_head::RcuHead, sync::Ordering};

/// In `marks`: the record goes back with the last section, since no thread-local remembers it.
const TRANSIENT: usize = 1;
/// In `marks`: the owner has not been in a section yet, and the record may not be looked at.
const FRESH: usize = 2;
/// In `marks`: the owner opens the record's place, and has perhaps done the half of it.
pub(super) const OPENING: usize = 4;
/// In `marks`: a section inside another.
const NESTED: usize = 8;

impl Record {
    /// Makes the caller the owner. The counts go on: threads that each do a little, and end, poll as often as one
    /// that does it all.
    ///
    /// # Safety
    /// Nobody owns it, and whoever last did happens before this.
    pub(super) unsafe fn claim(&self, domain: &Shared, transient: bool) {
        self.take(!transient);
        self.owner.domain.set(ptr::from_ref(domain).cast_mut());
        self.owner.marks.set(if transient { FRESH | TRANSIENT } else { FRESH });
        self.note_poll(domain.clock.now());
    }

    /// From now on the owner's pointer to the domain is one that counts.
    pub(super) fn count(&self, domain: *const Shared) {
        self.owner.domain.set(domain.cast_mut());
    }

    /// The domain. Only for the owner.
    #[inline]
    pub(super) fn domain(&self) -> *const Shared {
        self.owner.domain.get()
    }

    /// To be called when the thread forgets the record: whether it is to be given up now. If not it is with its
    /// last section. If that was leaked, never.
    pub(super) fn resign(&self) -> bool {
        let marks = &self.owner.marks;
        marks.set(marks.get() | TRANSIENT);
        !self.in_section()
    }

    /// Opens a section. Only for the owner, and for a signal handler that interrupts it anywhere.
    #[inline(always)]
    pub(super) fn enter(&self, clock: &Clock) {
        if self.in_section() || self.owner.marks.get() != 0 {
            self.enter_inside(clock);
        } else {
            self.announce(clock);
        }
        // The section does not begin before.
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    fn announce(&self, clock: &Clock) {
        self.owner.came.set(1);
        let mut epoch = self.reader.announcement.enter(clock);
        // SAFETY: the caller owns the record.
        if !unsafe { self.owner.place.is_open() } {
            epoch = self.come_back(clock);
        }
        self.reader.announcement.settle(epoch, clock.fences());
    }

    /// A section inside another, as a rule; or the first one, one of a record that has no place in its thread, or one in a
    /// handler that interrupts its thread while that opens the place, or on the way into a section.
    #[cold]
    fn enter_inside(&self, clock: &Clock) {
        let marks = &self.owner.marks;
        if !self.in_section() {
            self.open();
            self.announce(clock);
            return marks.set(marks.get() & !FRESH);
        }
        // What a section relies on does not change: the epoch may have moved on by one since it was announced, and would
        // move on by one more.
        match clock.fences() {
            Fences::Symmetric if self.reader.announcement.is_settled() => {}
            Fences::Symmetric => {
                let epoch = self.come_back(clock);
                self.reader.announcement.settle(epoch, Fences::Symmetric);
            }
            Fences::Asymmetric => self.stay(),
        }
        // Only leaked sections get there. Wrapping would end sections that are still open.
        let more = marks.get().checked_add(NESTED);
        marks.set(more.expect("ptfrag: too many sections are open"));
    }

    /// Sees to it that the record is looked at, with what it shows. Nothing tells whether the outer section relies on that
    /// already. If not, it does no harm: where the epoch has moved on since, it cannot go on until this is over.
    fn stay(&self) {
        // SAFETY: the caller owns the record.
        while !unsafe { self.owner.place.is_open() } {
            self.open();
            Fences::Asymmetric.light();
        }
    }

    /// Has the record looked at again, after it was parked or while that is going on. Its section has not begun yet.
    #[cold]
    fn come_back(&self, clock: &Clock) -> Epoch {
        loop {
            self.open();
            // In the time in which nobody looked the epoch may have moved on.
            let epoch = self.reader.announcement.enter(clock);
            self.note_poll(epoch);
            // SAFETY: the caller owns the record.
            if unsafe { self.owner.place.is_open() } {
                return epoch;
            }
        }
    }

    /// Closes a section that this thread opened, and tells whether the record is to be released: it is nobody's
    /// any more.
    #[inline]
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        let marks = self.owner.marks.get();
        if marks >= NESTED {
            self.owner.marks.set(marks - NESTED);
            return false;
        }
        self.leave_outermost();
        marks & TRANSIENT != 0
    }

    #[inline]
    fn leave_outermost(&self) {
        // A handler that comes after the next line has a section of its own. What this one did must not be put off
        // until then.
        compiler_fence(Ordering::SeqCst);
        self.reader.announcement.leave();
    }

    /// Closes a user's section as [`leave`](Self::leave) does, unless that has more to do than to close the outermost
    /// one. Whether it has, and otherwise whether it is time to poll.
    #[inline]
    pub(super) fn leave_and_count(&self) -> Option<bool> {
        let owner = &self.owner;
        if owner.marks.get() != 0 {
            return None;
        }
        self.leave_outermost();
        let drops = owner.drops.get() + 1;
        owner.drops.set(drops);
        Some(drops >= owner.drops_to_poll.get())
    }

    /// Whether the owner has a section open. Only for the owner.
    #[inline]
    pub(super) fn in_section(&self) -> bool {
        self.reader.announcement.is_shown()
    }

    /// Counts a head that the owner is about to queue, and tells whether it is time to gather those before.
    #[inline]
    pub(super) fn count_call(&self, clock: &Clock) -> bool {
        let calls = self.owner.calls.get().wrapping_add(1);
        self.owner.calls.set(calls);
        let pace = clock.pace();
        let to_poll = if calls < pace * CALLS_PER_POLL { pace * DROPS_PER_POLL } else { 0 };
        self.owner.drops_to_poll.set(self.owner.drops_to_poll.get().min(to_poll));
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
        unsafe { self.queue.push(head, || self.open()) };
    }

    /// Has the record looked at.
    #[cold]
    fn open(&self) {
        let marks = &self.owner.marks;
        let before = marks.get();
        marks.set(before | OPENING);
        compiler_fence(Ordering::SeqCst);
        self.owner.place.open();
        compiler_fence(Ordering::SeqCst);
        marks.set(before);
    }

    /// Whether a fence is worth it to find out whether the ticket of this epoch is current: it is where the
    /// thread does nothing but retire, and where the epoch does not move on for long.
    pub(super) fn is_fence_worth_it(&self, epoch: u64) -> bool {
        let owner = &self.owner;
        let came = owner.came.get() != 0;
        owner.came.set(0);
        if owner.asked_in.get() != epoch as usize {
            owner.asked_in.set(epoch as usize);
            owner.asks.set(0);
        }
        let asks = owner.asks.get().saturating_add(1);
        owner.asks.set(asks);
        !came || asks > ASKS_WITHOUT_A_FENCE
    }

    /// Has the owner poll at its next outermost drop, and go on until there is nothing to do.
    pub(super) fn hurry(&self) {
        self.owner.drops_to_poll.set(0);
        self.owner.hurried.set(1);
    }

    /// Has the owner poll at its next outermost drop: this time there was too much to do.
    pub(super) fn poll_again(&self) {
        self.owner.drops_to_poll.set(0);
    }

    /// Whether that was asked for; it is not any more.
    pub(super) fn take_hurry(&self) -> bool {
        let hurried = self.owner.hurried.get();
        self.owner.hurried.set(0);
        hurried != 0
    }

    /// Begins a poll of the owner, who has heads of its own if `busy`, and says whether it is one
    /// that looks round at the others, and how many heads it has queued since the last one.
    pub(super) fn begin_poll(&self, clock: &Clock, busy: bool) -> (bool, usize) {
        let called = self.owner.calls.get();
        self.owner.calls.set(0);
        self.owner.drops.set(0);
        let drops = if busy { DROPS_PER_POLL } else { IDLE_DROPS_PER_POLL };
        self.owner.drops_to_poll.set(clock.pace() * drops);
        self.note_poll(clock.now());
        let polls = self.owner.polls.get().wrapping_add(1);
        self.owner.polls.set(polls);
        (polls % POLLS_PER_ROUND == 0, called)
    }

    /// Where the owner's next round of taking over goes on, or zero if the last one came to its end.
    pub(super) fn cursor(&self) -> usize {
        self.owner.cursor.get()
    }

    pub(super) fn set_cursor(&self, cursor: usize) {
        self.owner.cursor.set(cursor);
    }

    /// Counts callbacks that the owner has run.
    pub(super) fn count_ran(&self, count: usize) {
        // Only the owner writes.
        let ran = self.ran() + count as u64;
        self.owner.ran.store(ran, Ordering::Relaxed);
    }

    /// Says that the owner begins, or has ended, running callbacks.
    pub(super) fn toggle_running(&self) {
        let running = &self.owner.running;
        // Release: the callbacks so far happen before whoever waits for them goes on. Pairs with
        // the acquire in `wait_for_callbacks`. Only the owner writes, so nothing gets lost between
        // the load and the store.
        running.store(running.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}
