#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
mod hooks;
mod lock;
mod page;
mod rcu;
mod source;
mod sync;
pub use hooks::Hooks;
pub use lock::{RawLock, SpinLock};
pub use page::PageDesc;
pub use rcu::{Rcu, RcuFn, RcuHead};
pub use source::{AllocError, PageSource};
