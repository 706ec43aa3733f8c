//! The primitives that everything else is built on, so that one source builds three ways.
//!
//! An ordinary build takes its atomics from portable-atomic; the packages `loom-tests` and
//! `shuttle-tests` compile this same source with `cfg(ptfrag_loom)` or `cfg(ptfrag_shuttle)`, and
//! every atomic, cell and wait then goes through the checker. Elsewhere those cfgs only leave out
//! what has no place in a model: the `mmap`ed page source and the statics. With `cfg(ptfrag_lines)`, for the
//! benchmarks, the atomics count.

#[cfg(all(feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod arc;
#[cfg(not(ptfrag_loom))]
mod cell;
#[cfg(all(ptfrag_lines, not(any(ptfrag_loom, ptfrag_shuttle))))]
pub mod counted;
#[cfg(any(ptfrag_loom, ptfrag_shuttle))]
mod in_model;
#[cfg(all(feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod membarrier;
#[cfg(ptfrag_loom)]
mod on_loom;
#[cfg(ptfrag_shuttle)]
mod on_shuttle;
#[cfg(feature = "std")]
mod private;
#[cfg(ptfrag_loom)]
mod processors;
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
mod real;
#[cfg(feature = "std")]
mod system;
#[cfg(ptfrag_loom)]
mod weak;

#[cfg(all(feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub(crate) use arc::Arc;
#[cfg(any(ptfrag_loom, ptfrag_shuttle))]
pub(crate) use in_model::*;
#[cfg(all(feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
pub(crate) use membarrier::{between, fence_everywhere, light_fence, may_fence_everywhere};
#[cfg(ptfrag_loom)]
pub(crate) use on_loom::*;
#[cfg(ptfrag_shuttle)]
pub(crate) use on_shuttle::*;
#[cfg(feature = "std")]
pub(crate) use private::{Private, PrivatePtr};
#[cfg(ptfrag_loom)]
pub use processors::Processor;
#[cfg(ptfrag_loom)]
pub(crate) use processors::{between, fence_everywhere, light_fence, may_fence_everywhere};
#[cfg(not(any(ptfrag_loom, ptfrag_shuttle)))]
pub(crate) use real::*;
#[cfg(feature = "std")]
pub(crate) use system::Own;
#[cfg(ptfrag_loom)]
pub use weak::{plan_weak_failures, take_weak_failures};

/// Whether a pause of [`Backoff`] ends up by letting other threads go on; else it spins, for far longer.
pub(crate) const YIELDS: bool = cfg!(feature = "std");

/// A number that bounds some piece of work: as it is, and so small in a model that all of its
/// interleavings can be tried.
pub(crate) const fn bound(real: u32, model: u32) -> u32 {
    if MODEL { model } else { real }
}

/// Declares a constructor that is `const` in every build but loom's, whose atomics and cells
/// register themselves at run time.
macro_rules! const_new {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$meta])*
        #[cfg(not(ptfrag_loom))]
        #[must_use]
        $vis const fn $name($($arg: $ty),*) -> $ret $body

        $(#[$meta])*
        #[cfg(ptfrag_loom)]
        #[must_use]
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_new;
