//! Splits pages into 2 to 16 fragments, hands them out lock-free, and takes them back after an RCU
//! grace period, without ever allocating on the way back.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
#[cfg(feature = "std")]
mod domain;
mod embed;
mod frag;
mod free;
mod head;
mod hooks;
mod list;
mod lock;
pub mod mask;
mod misuse;
mod mm;
mod page;
mod rcu;
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
mod region;
mod slot;
mod source;
mod sync;
mod take;
pub mod word;

#[cfg(feature = "std")]
pub use domain::{Domain, Guard, OwnedDomain, Section};
pub use embed::Embed;
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
pub use embed::Std;
pub use frag::Frag;
pub use head::MmHead;
pub use hooks::Hooks;
pub use lock::{RawLock, SpinLock};
pub use mm::Mm;
pub use page::PageDesc;
pub use rcu::{Rcu, RcuFn, RcuHead};
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
pub use region::Region;
pub use slot::Slot;
pub use source::{AllocError, PageSource};
