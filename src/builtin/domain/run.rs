//! Running callbacks: one's own, and those of threads that do not look after theirs.

use core::ptr;

use super::{
    Shared,
    fences::Fences,
    pace::{BATCH, POLLS_IN_A_HURRY},
    queue::Queue,
    record::Record,
    thread,
};

impl Shared {
    /// Tries to end the epoch.
    pub(super) fn advance(&self) -> bool {
        self.clock.advance(|| self.records.readers().map(Record::announcement))
    }

    /// [`Domain::poll`](super::Domain::poll) for the owner of `me`, who is neither in a section nor
    /// in a callback. If nobody `asked` for it, the epoch moves on only where that is worth its price.
    pub(super) fn poll(&self, me: &Record, asked: bool) -> usize {
        let busy = me.queue.has_work();
        let step = asked || self.is_step_worth_it(me, busy);
        let (look_round, called) = me.begin_poll(&self.clock, busy);
        // Also for work that its owner will see to: only epochs that pass can show that it does
        // not.
        if !(busy || self.has_work()) {
            return 0;
        }
        let limit = BATCH + 2 * called;
        let mut ran = 0;
        if busy {
            ran += self.run_own(me, step, limit);
        } else if step {
            self.advance();
        }
        let is_full = ran == limit;
        if look_round {
            self.records.park(&self.clock);
        }
        if look_round || !busy || me.cursor() != 0 {
            ran += self.take_over(me);
        }
        if is_full || me.cursor() != 0 {
            me.poll_again();
        }
        ran
    }

    /// Whether the epoch is to move on: always, unless each step interrupts the others. Then it moves for a thread that
    /// has heads and finds it where its last poll did, and for the heads of others when it has not moved for long.
    fn is_step_worth_it(&self, me: &Record, busy: bool) -> bool {
        match self.clock.fences() {
            Fences::Symmetric => true,
            Fences::Asymmetric if busy => me.polled() == self.clock.now(),
            Fences::Asymmetric => self.clock.has_been_still(),
        }
    }

    /// Moves the owner's heads on, and runs at most `limit` of its callbacks: without a step of the epoch unless `step`, and
    /// otherwise in one if there are few of them, or in as many as there is nobody in the way of.
    fn run_own(&self, me: &Record, step: bool, limit: usize) -> usize {
        let mut ran = 0;
        loop {
            let moved = step && self.advance();
            let Some(more) = self.try_run_from(&me.queue, me, limit - ran) else { return ran };
            ran += more;
            if !moved || ran == limit || me.queue.stock() < BATCH {
                return ran;
            }
        }
    }

    /// Polls for the owner of `me` until nothing is queued or nothing moves, but not for ever: what a reader
    /// is in the way of waits.
    pub(super) fn collect(&self, me: &Record) {
        for _ in 0..POLLS_IN_A_HURRY {
            let epoch = self.clock.now();
            let ran = self.poll(me, true);
            let stuck = ran == 0 && epoch == self.clock.now();
            if stuck || !self.has_work() {
                return;
            }
        }
    }

    /// Runs at most `limit` ripe callbacks of `queue`. Goes by without waiting if another thread is
    /// at the queue.
    pub(super) fn run_from(&self, queue: &Queue, me: &Record, limit: usize) -> usize {
        self.try_run_from(queue, me, limit).unwrap_or(0)
    }

    /// The same. `None` if another thread is there.
    fn try_run_from(&self, queue: &Queue, me: &Record, limit: usize) -> Option<usize> {
        let ripe = queue.detach(&self.clock, limit, || me.toggle_running())?;
        if ripe.is_empty() {
            return Some(0);
        }
        // SAFETY: the heads are ripe, and the caller is in no section.
        let ran = thread::with_callback_mark(|| unsafe { ripe.run() });
        me.count_ran(ran);
        me.toggle_running();
        Some(ran)
    }

    /// Looks at the queues that nobody looks after, and runs at most a batch. If that was not enough, the next round
    /// goes on behind where this one ended, so that a busy queue does not starve the others.
    fn take_over(&self, me: &Record) -> usize {
        let now = self.clock.now();
        let cursor = me.cursor();
        let rest = self.records.open().filter(|record| record.number() >= cursor);
        let front = self.records.open().filter(|record| record.number() < cursor);
        let mut ran = 0;
        for record in rest.chain(front) {
            if ptr::eq(record, me) || !record.is_neglected(now) || !record.queue.has_work() {
                continue;
            }
            ran += self.run_from(&record.queue, me, BATCH - ran);
            if ran == BATCH {
                me.set_cursor(record.number() + 1);
                return ran;
            }
        }
        me.set_cursor(0);
        ran
    }

    /// Whether anything is queued. A hint.
    pub(super) fn has_work(&self) -> bool {
        self.records.open().any(|record| record.queue.has_work())
    }

    /// Runs everything that is queued, and what that queues, until nothing is left.
    ///
    /// # Safety
    /// The domain has no readers and no other users any more.
    pub(super) unsafe fn run_down(&self) {
        thread::with_callback_mark(|| {
            loop {
                let mut ran = 0;
                for record in self.records.all() {
                    // SAFETY: as the caller says.
                    let all = unsafe { record.queue.take_all() };
                    // SAFETY: the domain is being torn down, without readers.
                    ran += unsafe { all.run() };
                }
                if ran == 0 {
                    break;
                }
            }
        });
    }
}
