//! Splits pages into 2 to 16 fragments, hands them out lock-free, and takes them back after an RCU
//! grace period, without ever allocating on the way back.
//!
//! For kernels, hypervisors, allocators and concurrent data structures: whatever wants small blocks
//! that readers walk without a lock, and that may be reused only when the last reader has left. All
//! state of a page is one 64-bit atomic word; a fragment needs no header, a page one RCU head.
//!
//! ```
//! use ptfrag::{Domain, Mm, Region};
//!
//! let rcu = Domain::global();
//! let mm = Mm::<16, 256, _>::new(rcu, Region::<4096>::new(1024)?); // 16 x 256 B, at most 1024 pages
//! let slot = mm.slot();
//! let mut frag = mm.alloc()?;
//! frag[..5].copy_from_slice(b"hello");
//! slot.publish(frag); // now readers find it
//! let guard = rcu.read();
//! let seen = slot.load(&guard).expect("published above");
//! slot.clear(); // retired: free again when `guard` and all others of now are gone
//! assert_eq!(&seen[..5], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which type to take
//! | type | what it is | for whom |
//! | --- | --- | --- |
//! | [`Mm`] | a pool of pages, shared by reference | everybody; by itself where any thread allocates now and then, with [lanes](Mm::lanes) where many do at once |
//! | [`Local`] | a thread's or a processor's handle of an mm | threads that allocate and retire much |
//! | [`Frag`] | a fragment that nobody else has | owners: they write it, then show it, retire it or give it back |
//! | [`Pool`] | values with a type and a destructor, without `unsafe` | data structures |
//! | [`Slot`] | a pointer to what readers see | data structures whose pointers are slots; others use [`Frag::into_raw`] |
//! | [`Std`] | the built-in parts: [`Domain`], [`Region`], [`SpinLock`]; as hooks [`Zeroed`] | programs in user space |
//! | [`Memory`], [`Nested`] | page sources: memory that is there already, fragments of another mm | who has no system to ask, or larger pages |
//! | [`Embed`] | one's own parts: [`Rcu`], [`PageSource`], [`RawLock`], [`Hooks`] | kernels, and programs that have an RCU already |
//!
//! # What it costs
//! | operation | what it does | lock |
//! | --- | --- | --- |
//! | [`Mm::alloc`] | a read-side section, and one compare-and-swap on the first page listed in the thread's [lane](Mm::lanes) | for a page's last free fragment, or a fresh page |
//! | [`Frag::retire`] | one compare-and-swap, and an RCU call if none is in flight for the page | never |
//! | [`Frag::give_back`], drop | one compare-and-swap | if the page had nothing free, or is all free now |
//! | [`Slot::load`] | one load, and [`Rcu::covers`]; the caller has a read-side section open | never |
//! | [`Slot::publish`], [`Slot::clear`] | one swap, and the retirement | never |
//! | [`Local::alloc`], [`Local::retire`], [`Local::give_back`] | a few loads and stores of the thread's own; at times what the handle owes | where it claims a page or is full; `retire` at most tries |
//! | the end of a grace period | one compare-and-swap per page | only tried; if it is held, again after another grace period, for all such pages at once |
//!
//! A section of [`Domain`] is a few stores and a full fence, without the fence in an
//! [asymmetric](OwnedDomain::asymmetric) one. What is retired comes back after one grace
//! period, or the rest of one and another; an emptied page goes home at once. Memory: 40 bytes per page outside it (a
//! [`Region`] has 64), and about 8 KiB per handle. Figures are in `results/` in the repository.
//!
//! # Features
//! - `std` (default): [`Domain`], and where there is `mmap` [`Region`] and [`Std`].
//! - `alloc`: [`Mm::new_in`] puts the mm's head in a `Box`, and [`Mm::local`] a handle's part;
//!   [`Pool`].
//! - `crossbeam-epoch`: that crate's default collector as RCU (`Epoch`).
//! - `critical-section`: for targets without compare-and-swap, with an implementation of the crate of that name.
//! - `check`: the module of that name, a test kit for parts of one's own.
//! - With neither the crate is `core` only: [`Mm::new_at`] and [`Mm::local_at`] take the place from the
//!   embedder.
//!
//! # More
//! - [`protocol`]: the rules, the orderings, what the lock is for and what a thread that stops holds up,
//!   notes for embedders. It is the authority.
//! - [`embedding`]: how to write parts of one's own. Each trait of [`Embed`] says what memory safety rests on.
#![no_std]
#![warn(missing_debug_implementations, unreachable_pub)]

#[cfg(not(any(
    target_has_atomic = "ptr",
    feature = "critical-section",
    portable_atomic_unsafe_assume_single_core
)))]
compile_error!(
    "ptfrag: this target has no compare-and-swap: enable the feature `critical-section`, and link an \
     implementation of the crate of that name"
);

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
mod adapters;
mod builtin;
#[cfg(all(feature = "check", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub mod check;
mod embed;
pub mod embedding;
mod frag;
mod insist;
mod local;
mod mm;
mod page;
#[cfg(feature = "alloc")]
mod pool;
pub mod protocol;
mod rcu_head;
mod slot;
mod sync;

#[cfg(all(feature = "crossbeam-epoch", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub use adapters::Epoch;
pub use builtin::*;
pub use embed::{AllocError, Embed, Hooks, NumberedSource, PageSource, RawLock, Rcu};
pub use frag::Frag;
pub use local::{Local, LocalPart};
pub use mm::{Mm, head::MmHead, lanes::Lane};
pub use page::{PageDesc, mask, word};
#[cfg(feature = "alloc")]
pub use pool::{Drops, Full, Link, Owned, Pool, PoolHandle, fit};
pub use rcu_head::{RcuFn, RcuHead};
pub use slot::Slot;
#[cfg(ptfrag_lines)]
pub use sync::counted as lines;
#[cfg(ptfrag_loom)]
pub use sync::{Processor, plan_weak_failures, take_weak_failures};
