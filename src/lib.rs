#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
mod hooks;
mod lock;
mod page;
mod rcu;
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
mod region;
mod source;
mod sync;
pub use hooks::Hooks;
pub use lock::{RawLock, SpinLock};
pub use page::PageDesc;
pub use rcu::{Rcu, RcuFn, RcuHead};
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
pub use region::Region;
pub use source::{AllocError, PageSource};
