//! Running callbacks: one's own, and those of threads that do not look after theirs.

use core::ptr;

use super::{
    Shared,
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
    /// in a callback.
    pub(super) fn poll(&self, me: &Record) -> usize {
        let busy = me.queue.has_work();
        let (look_round, called) = me.begin_poll(self.clock.now(), busy);
        // Also for work that its owner will see to: only epochs that pass can show that it does
        // not.
        if !(busy || self.has_work()) {
            return 0;
        }
        let mut ran = 0;
        if busy {
            ran += self.run_own(me, BATCH + 2 * called);
        } else {
            self.advance();
        }
        if look_round {
            self.records.park(self.clock.now());
        }
        if look_round || !busy {
            ran += self.take_over(me);
        }
        ran
    }

    /// Moves the owner's heads on, and runs at most `limit` of its callbacks: in one step of the epoch if
    /// there are few of them, and otherwise in as many as there is nobody in the way of.
    fn run_own(&self, me: &Record, limit: usize) -> usize {
        let mut ran = 0;
        loop {
            let moved = self.advance();
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
            let ran = self.poll(me);
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

    /// Looks at the queues that nobody looks after, and runs at most a batch. The next round goes
    /// on where this one ended, so that a busy queue does not starve those behind it.
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
            if ran == BATCH {
                me.set_cursor(record.number());
                return ran;
            }
            ran += self.run_from(&record.queue, me, BATCH - ran);
        }
        me.set_cursor(0);
        ran
    }

    /// Whether anything is queued. A hint.
    fn has_work(&self) -> bool {
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
