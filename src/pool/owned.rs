//! A value that nobody else has.

use core::{
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};

use super::Drops;
use crate::{embed::Embed, frag::Frag};

/// A value in a fragment that nobody else has: a `Box` from a [`Pool`](crate::Pool).
///
/// Dropping it drops the value and gives the fragment back, at once. It may outlive the pool. To show it to readers,
/// publish it in a [`Link`](crate::Link); that takes it:
///
/// ```compile_fail,E0382
/// # use ptfrag::{Domain, Region};
/// # let pool = <ptfrag::pool_of!(String)>::new(Domain::global(), Region::new(10)?);
/// let mut owned = pool.alloc(String::new())?;
/// let link = pool.link();
/// link.publish(owned);
/// owned.push('a');
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
/// The fragment holds a value.
pub struct Owned<T, const FRAGS: usize, const SIZE: usize, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    frag: ManuallyDrop<Frag<FRAGS, SIZE, E>>,
    /// Shared, it shares the value.
    value: PhantomData<T>,
}

impl<T, const FRAGS: usize, const SIZE: usize, E> Owned<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    /// Only a pool has such fragments, so the value fits.
    #[inline]
    pub(super) fn new(frag: Frag<FRAGS, SIZE, E>, value: T) -> Self {
        // SAFETY: the fragment is ours, and large and aligned enough.
        unsafe { frag.as_ptr().cast().write(value) };
        Self { frag: ManuallyDrop::new(frag), value: PhantomData }
    }

    /// The value; its fragment is given back.
    #[must_use]
    pub fn into_inner(self) -> T {
        let frag = self.into_frag();
        // SAFETY: it holds a value, which moves out.
        unsafe { frag.as_ptr().cast().read() }
    }

    pub(super) fn as_frag(&self) -> &Frag<FRAGS, SIZE, E> {
        &self.frag
    }

    /// The fragment, with the value.
    #[inline]
    pub(super) fn into_frag(self) -> Frag<FRAGS, SIZE, E> {
        // SAFETY: `self` is not dropped.
        unsafe { ManuallyDrop::take(&mut ManuallyDrop::new(self).frag) }
    }

    /// What [`into_frag`](Self::into_frag) let go.
    ///
    /// # Safety
    /// The fragment holds a value.
    #[inline]
    pub(super) unsafe fn from_frag(frag: Frag<FRAGS, SIZE, E>) -> Self {
        Self { frag: ManuallyDrop::new(frag), value: PhantomData }
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> Deref for Owned<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it holds a value, which is borrowed as `self` is.
        unsafe { self.frag.as_ptr().cast().as_ref() }
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> DerefMut for Owned<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.frag.as_ptr().cast().as_mut() }
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> Drop for Owned<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `self` is not used any more. The fragment is given back also when the destructor panics.
        let frag = unsafe { ManuallyDrop::take(&mut self.frag) };
        // SAFETY: it holds a value.
        unsafe { frag.as_ptr().cast::<T>().drop_in_place() };
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> fmt::Debug for Owned<T, FRAGS, SIZE, E>
where
    T: fmt::Debug + 'static,
    E: Embed<Hooks = Drops<T>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
