//! What programs in user space take that bring no parts of their own.

#[cfg(all(feature = "alloc", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod block;
#[cfg(feature = "std")]
mod domain;
#[cfg(all(feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod global;
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
mod memory;
#[cfg(all(feature = "alloc", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod nested;
#[cfg(all(unix, feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod parts;
#[cfg(all(unix, feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod region;
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
mod scarce;
mod spin;
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
mod stack;
mod zeroed;

#[cfg(feature = "std")]
pub use self::domain::{
    Domain, DomainStatus, Guard, HeadAge, OwnedDomain, Section, ThreadInTheWay,
};
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
pub use self::memory::Memory;
#[cfg(all(feature = "alloc", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub use self::nested::Nested;
#[cfg(all(unix, feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub use self::{parts::Std, region::Region};
pub use self::{spin::SpinLock, zeroed::Zeroed};
