//! A test kit for whoever writes parts of their own: run these in a test, and they panic with what is wrong.
//!
//! They find what a test can find: answers that do not fit each other, pages that two get at once, locks that let two in,
//! callbacks that come too early, or never. That no page or descriptor goes too early, that `put` does not wait, that a lock
//! has no tail: these remain the author's to argue for, from the safety sections of the traits.
//!
//! ```
//! # #[cfg(unix)] {
//! use ptfrag::{OwnedDomain, Region, SpinLock, check};
//!
//! check::page_source(&Region::<4096>::new(100)?, 100);
//! check::raw_lock::<SpinLock>();
//! let domain = OwnedDomain::new();
//! check::rcu(&*domain, || { domain.poll(); });
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```

mod lock;
mod rcu;
mod source;

pub use self::{lock::raw_lock, rcu::rcu, source::page_source};
