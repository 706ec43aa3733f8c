//! What the embedder supplies: the contracts of the parts that an mm is built from, and nothing else.
//!
//! In user space the built-in parts do.

mod hooks;
mod lock;
mod rcu;
mod source;

pub use self::{
    hooks::Hooks,
    lock::RawLock,
    rcu::Rcu,
    source::{AllocError, NumberedSource, PageSource},
};

/// Names the four parts of an mm, so that it needs one type parameter and not four.
///
/// The source and the hooks are used in callbacks after the mm's owner is gone, hence their
/// `'static`. The RCU handle may borrow its domain: tokens keep the borrow alive, and what is
/// queued when the last of them is gone is the domain's to run before it goes (see [`Rcu`]).
pub trait Embed {
    /// The RCU implementation.
    type Rcu: Rcu;
    /// Where pages come from.
    type Source: PageSource;
    /// The lock of the partial list.
    type Lock: RawLock + 'static;
    /// What the embedder does along a page's way; `()` for nothing.
    type Hooks: Hooks;
}
