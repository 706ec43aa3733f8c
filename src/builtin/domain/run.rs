//! Running callbacks: one's own, and those of threads that do not look after theirs.

use core::ptr;

use super::{BATCH, POLLS_IN_A_HURRY, Shared, queue::Queue, record::Record, thread};

impl Shared {
    /// Tries to end the epoch.
    pub(super) fn advance(&self) -> bool {
        self.clock.advance(|| self.records.iter().map(Record::announcement))
    }

    /// [`Domain::poll`](super::Domain::poll) for the owner of `me`, who is neither in a section nor
    /// in a callback.
    pub(super) fn poll(&self, me: &Record) -> usize {
        let busy = me.queue.has_work();
        let look_round = me.begin_poll(self.clock.now(), busy);
        // Also for work that its owner will see to: only epochs that pass can show that it does
        // not.
        if !(busy || self.records.iter().any(|record| record.queue.has_work())) {
            return 0;
        }
        self.advance();
        let own = if busy { self.run_from(&me.queue, me, BATCH) } else { 0 };
        if busy && !look_round { own } else { own + self.take_over(me) }
    }

    /// Polls for the owner of `me` until nothing is queued or nothing moves, but not for ever: what a reader
    /// is in the way of waits.
    pub(super) fn collect(&self, me: &Record) {
        for _ in 0..POLLS_IN_A_HURRY {
            let epoch = self.clock.now();
            let ran = self.poll(me);
            let stuck = ran == 0 && epoch == self.clock.now();
            if stuck || !self.records.iter().any(|record| record.queue.has_work()) {
                return;
            }
        }
    }

    /// Runs at most `limit` ripe callbacks of `queue`. Goes by without waiting if another thread is
    /// at the queue.
    pub(super) fn run_from(&self, queue: &Queue, me: &Record, limit: usize) -> usize {
        let ripe = queue.detach(&self.clock, limit, || me.toggle_running());
        if ripe.is_empty() {
            return 0;
        }
        // SAFETY: the heads are ripe, and the caller is in no section.
        let ran = thread::with_callback_mark(|| unsafe { ripe.run() });
        me.toggle_running();
        ran
    }

    /// Looks at the queues that nobody looks after, and runs at most a batch. The next round goes
    /// on where this one ended, so that a busy queue does not starve those behind it.
    fn take_over(&self, me: &Record) -> usize {
        let now = self.clock.now();
        let cursor = me.cursor();
        let here = |record: &&Record| ptr::eq(*record, cursor);
        let rest = self.records.iter().skip_while(|record| !here(record));
        let front = self.records.iter().take_while(|record| !here(record));
        let mut ran = 0;
        for record in rest.chain(front) {
            if ptr::eq(record, me) || !record.is_neglected(now) || !record.queue.has_work() {
                continue;
            }
            if ran == BATCH {
                me.set_cursor(record);
                return ran;
            }
            ran += self.run_from(&record.queue, me, BATCH - ran);
        }
        me.set_cursor(ptr::null());
        ran
    }

    /// Runs everything that is queued, and what that queues, until nothing is left.
    ///
    /// # Safety
    /// The domain has no readers and no other users any more.
    pub(super) unsafe fn run_down(&self) {
        thread::with_callback_mark(|| {
            loop {
                let mut ran = 0;
                for record in self.records.iter() {
                    let any = record.queue.take_any();
                    // SAFETY: the domain is being torn down, without readers.
                    ran += unsafe { any.run() };
                }
                if ran == 0 {
                    break;
                }
            }
        });
    }
}
