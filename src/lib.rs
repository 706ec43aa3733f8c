#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
#[cfg(feature = "std")]
mod domain;
mod hooks;
mod lock;
mod page;
mod rcu;
mod source;
mod sync;
#[cfg(feature = "std")]
pub use domain::{Domain, Guard, OwnedDomain, Section};
pub use hooks::Hooks;
pub use lock::{RawLock, SpinLock};
pub use page::PageDesc;
pub use rcu::{Rcu, RcuFn, RcuHead};
pub use source::{AllocError, PageSource};
