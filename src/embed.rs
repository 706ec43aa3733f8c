//! The parts that an mm is built from.

#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
use core::marker::PhantomData;

use crate::{hooks::Hooks, lock::RawLock, rcu::Rcu, source::PageSource};

/// Names the four parts of an mm, so that it needs one type parameter and not four.
///
/// The source and the hooks are used in callbacks after the mm's owner is gone, hence their
/// `'static`. The RCU handle may borrow its domain: tokens keep the borrow alive, and what is queued
/// when the last of them is gone is the domain's to run before it goes (see [`Rcu`]).
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

/// The built-in parts: RCU by a [`Domain`](crate::Domain), pages of `PAGE` bytes from a
/// [`Region`](crate::Region), a [`SpinLock`](crate::SpinLock), and hooks if there are any.
///
/// `'d` is how long the domain is borrowed: `'static` for [`Domain::global`](crate::Domain::global).
#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
pub struct Std<'d, const PAGE: usize = 4096, H = ()>(PhantomData<(&'d crate::Domain, H)>);

#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
impl<'d, const PAGE: usize, H: Hooks> Embed for Std<'d, PAGE, H> {
    type Rcu = &'d crate::Domain;
    type Source = crate::Region<PAGE>;
    type Lock = crate::SpinLock;
    type Hooks = H;
}

#[cfg(all(unix, feature = "std", not(any(loom, shuttle))))]
impl<'d, const FRAGS: usize, const SIZE: usize, const PAGE: usize>
    crate::Mm<FRAGS, SIZE, Std<'d, PAGE>>
{
    /// An mm without pages, of the built-in parts.
    ///
    /// ```
    /// use ptfrag::{Domain, Mm, Region};
    ///
    /// let mm = Mm::<16, 256, _>::new(Domain::global(), Region::<4096>::new(1024)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn new(domain: &'d crate::Domain, region: crate::Region<PAGE>) -> Self {
        Self::new_in(domain, region, ())
    }
}
