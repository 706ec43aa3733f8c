//! Atomics whose weak compare-and-swap can fail for no reason, as the language allows and loom
//! never plays.

use core::{cell::Cell, ops::Deref};

use loom::sync::atomic::{self, Ordering};

// A loom thread is a coroutine on the test's own thread, so this is the same for all of them.
std::thread_local! {
    /// What is left of the plan: bit 0 stands for the next weak exchange.
    static PLAN: Cell<u64> = const { Cell::new(0) };
}

/// Has the weak exchanges fail from now on for which `plan` has a bit: bit 0 stands for the next
/// one of whichever thread. The last plan of an execution is dropped with [`take_weak_failures`].
pub fn plan_weak_failures(plan: u64) {
    PLAN.set(plan);
}

/// Ends the plan, and returns what was left of it.
#[must_use]
pub fn take_weak_failures() -> u64 {
    PLAN.take()
}

fn fails_now() -> bool {
    let plan = PLAN.get();
    PLAN.set(plan >> 1);
    plan & 1 != 0
}

macro_rules! weak {
    ($name:ident, $value:ty, $inner:ty $(, $param:ident)?) => {
        pub(crate) struct $name$(<$param>)?($inner);

        impl$(<$param>)? $name$(<$param>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self(<$inner>::new(value))
            }

            /// A failure reads, and may read what `current` is.
            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                if fails_now() {
                    return Err(self.0.load(failure));
                }
                self.0.compare_exchange_weak(current, new, success, failure)
            }
        }

        impl$(<$param>)? Deref for $name$(<$param>)? {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }
    };
}

weak!(AtomicU64, u64, atomic::AtomicU64);
weak!(AtomicPtr, *mut T, atomic::AtomicPtr<T>, T);
