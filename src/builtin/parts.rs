//! The built-in parts, put together.

use core::{fmt, marker::PhantomData};

use super::{SpinLock, domain::Domain, region::Region};
use crate::{
    embed::{Embed, Hooks},
    mm::Mm,
    pool::{Drops, Pool},
};

/// The built-in parts: RCU by a [`Domain`], pages of `PAGE` bytes from a
/// [`Region`], a [`SpinLock`], and hooks if there are any.
///
/// `'d` is how long the domain is borrowed: `'static` for [`Domain::global`].
///
/// ```
/// use ptfrag::{Domain, Local, Mm, Region, Std};
///
/// /// What a program that has tables of 4 KiB in pages of 64 KiB names once.
/// type Parts = Std<'static, 65536>;
/// struct Tables {
///     mm: Mm<16, 4096, Parts>,
///     of_this_thread: Local<16, 4096, Parts>,
/// }
///
/// let mm = Mm::new(Domain::global(), Region::new(100)?);
/// let mut tables = Tables { of_this_thread: mm.local(), mm };
/// tables.of_this_thread.alloc()?.retire();
/// tables.mm.alloc()?.retire();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Std<'d, const PAGE: usize = 4096, H = ()>(PhantomData<(&'d Domain, H)>);

impl<const PAGE: usize, H> fmt::Debug for Std<'_, PAGE, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Std({PAGE})")
    }
}

impl<'d, const PAGE: usize, H: Hooks> Embed for Std<'d, PAGE, H> {
    type Rcu = &'d Domain;
    type Source = Region<PAGE>;
    type Lock = SpinLock;
    type Hooks = H;
}

impl<'d, const FRAGS: usize, const SIZE: usize, const PAGE: usize> Mm<FRAGS, SIZE, Std<'d, PAGE>> {
    /// An mm without pages, of the built-in parts.
    ///
    /// ```
    /// use ptfrag::{Domain, Mm, Region};
    ///
    /// let mm = Mm::<16, 256, _>::new(Domain::global(), Region::<4096>::new(1024)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn new(domain: &'d Domain, region: Region<PAGE>) -> Self {
        Self::new_in(domain, region, ())
    }
}

impl<'d, T, const FRAGS: usize, const SIZE: usize, const PAGE: usize>
    Pool<T, FRAGS, SIZE, Std<'d, PAGE, Drops<T>>>
where
    T: Send + 'static,
{
    /// An empty pool of the built-in parts.
    #[must_use]
    pub fn new(domain: &'d Domain, region: Region<PAGE>) -> Self {
        Self::new_in(domain, region)
    }
}
