//! Looking at atomics without being a step of the schedule.

use std::cell::Cell;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

thread_local! {
    /// Whether the thread that runs goes on, whatever the scheduler would have.
    static STEADY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `look` with no other thread in between. The scheduler is not asked meanwhile, so it chooses
/// as if nothing had happened.
pub(super) fn undisturbed<R>(look: impl FnOnce() -> R) -> R {
    STEADY.set(true);
    let result = look();
    STEADY.set(false);
    result
}

/// A scheduler that lets nobody disturb.
pub(super) struct Steady<S>(pub(super) S);

impl<S: Scheduler> Scheduler for Steady<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        // The last schedule may have been given up while somebody looked.
        STEADY.set(false);
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if STEADY.get() { current } else { self.0.next_task(runnable, current, is_yielding) }
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
