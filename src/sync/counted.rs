//! Atomics that count cache lines which go from thread to thread, for the benchmarks: a build of its own, with
//! `cfg(ptfrag_lines)`.
//!
//! A cache line that a thread writes and another wrote last has to come from that other's processor. Which thread wrote a
//! line last is kept in a table, in which hardly ever two share an entry. What is behind a lock of the standard library's
//! is not seen.

use core::sync::atomic::AtomicU32 as Entry;
use std::cell::Cell;

use super::Ordering;

/// Bytes of a cache line.
const LINE: usize = 64;

const ENTRIES_LOG: u32 = 20;

/// Who wrote a line last: the number of a thread, or zero.
static LAST: [Entry; 1 << ENTRIES_LOG] = [const { Entry::new(0) }; 1 << ENTRIES_LOG];
static THREADS: Entry = Entry::new(0);

static FOREIGN: portable_atomic::AtomicU64 = portable_atomic::AtomicU64::new(0);

std::thread_local! {
    static ME: Cell<u32> = const { Cell::new(0) };
}

fn me() -> u32 {
    ME.try_with(|me| {
        if me.get() == 0 {
            me.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
        }
        me.get()
    })
    .unwrap_or(u32::MAX)
}

/// Counts a write.
pub(super) fn wrote<T>(place: *const T) {
    let me = me();
    // Threads' heaps often lie at the same place in an aligned piece of memory: 2 to the power of 64 by the golden ratio
    // puts neighbours, and such lines, far apart.
    let spread = ((place.addr() / LINE) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let last = LAST[(spread >> (u64::BITS - ENTRIES_LOG)) as usize].swap(me, Ordering::Relaxed);
    if last != 0 && last != me {
        FOREIGN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes to lines that another thread had written last, since the last call.
#[must_use]
pub fn take() -> u64 {
    FOREIGN.swap(0, Ordering::Relaxed)
}

macro_rules! counted {
    ($name:ident $(<$param:ident>)?, $value:ty) => {
        pub(crate) struct $name$(<$param>)?(portable_atomic::$name$(<$param>)?);

        #[allow(dead_code)]
        impl$(<$param>)? $name$(<$param>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(portable_atomic::$name::new(value))
            }

            pub(crate) const fn as_ptr(&self) -> *mut $value {
                self.0.as_ptr()
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                wrote(self);
                self.0.store(value, order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                wrote(self);
                self.0.swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                now: $value,
                new: $value,
                set: Ordering,
                seen: Ordering,
            ) -> Result<$value, $value> {
                let result = self.0.compare_exchange(now, new, set, seen);
                if result.is_ok() {
                    wrote(self);
                }
                result
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                now: $value,
                new: $value,
                set: Ordering,
                seen: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(now, new, set, seen)
            }

            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                seen: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut now = self.load(seen);
                while let Some(new) = update(now) {
                    match self.compare_exchange(now, new, set, seen) {
                        Ok(_) => return Ok(now),
                        Err(other) => now = other,
                    }
                }
                Err(now)
            }
        }
    };
}

macro_rules! counted_number {
    ($name:ident, $value:ty, $($change:ident)*) => {
        counted!($name, $value);

        #[allow(dead_code)]
        impl $name {
            $(
                pub(crate) fn $change(&self, by: $value, order: Ordering) -> $value {
                    wrote(self);
                    self.0.$change(by, order)
                }
            )*
        }
    };
}

counted!(AtomicBool, bool);
counted!(AtomicPtr<T>, *mut T);
counted_number!(AtomicU32, u32, fetch_add fetch_sub);
counted_number!(AtomicU64, u64, fetch_add fetch_sub fetch_and fetch_or);
counted_number!(AtomicUsize, usize, fetch_add fetch_sub);
