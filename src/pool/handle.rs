//! A thread's way to a pool.

use core::{fmt, ptr::NonNull};

use super::{Drops, Full, Link, Owned, put};
use crate::{embed::Embed, local::Local};

/// One thread's handle of a [`Pool`](crate::Pool): a [`Local`] with a type.
///
/// What it retires waits longer than without it, and with it the destructors: see [`Local`].
///
/// ```
/// # use ptfrag::{Domain, Region};
/// let pool = <ptfrag::pool_of!(String)>::new(Domain::global(), Region::new(10)?);
/// let link = pool.link();
/// let mut handle = pool.handle();
/// for line in ["one", "two", "three"] {
///     let line = handle.alloc(line.to_owned())?;
///     handle.publish(&link, line); // the last one is dropped when nobody reads it any more
/// }
/// assert_eq!(link.load(&Domain::global().read()).map(String::as_str), Some("three"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PoolHandle<T, const FRAGS: usize, const SIZE: usize, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    local: Local<FRAGS, SIZE, E>,
}

impl<T, const FRAGS: usize, const SIZE: usize, E> PoolHandle<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    pub(super) fn new(local: Local<FRAGS, SIZE, E>) -> Self {
        Self { local }
    }

    /// Puts a value into a fragment.
    ///
    /// # Errors
    /// [`Full`], with the value, when [`Local::alloc`] fails.
    #[inline]
    pub fn alloc(&mut self, value: T) -> Result<Owned<T, FRAGS, SIZE, E>, Full<T>> {
        put(value, self.local.alloc())
    }

    /// [`Link::publish`], with what readers saw before retired through the handle.
    ///
    /// # Panics
    /// As there.
    #[inline]
    pub fn publish(&mut self, link: &Link<T, FRAGS, SIZE, E>, value: Owned<T, FRAGS, SIZE, E>) {
        self.local.publish(link.slot(), link.of_this_pool(value).into_frag());
    }

    /// [`Link::clear`], with what readers saw before retired through the handle.
    #[inline]
    pub fn clear(&mut self, link: &Link<T, FRAGS, SIZE, E>) {
        self.local.clear(link.slot());
    }

    /// [`Link::publish_if`], with what readers saw before retired through the handle.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    #[inline]
    pub fn publish_if(
        &mut self,
        link: &Link<T, FRAGS, SIZE, E>,
        seen: Option<&T>,
        value: Owned<T, FRAGS, SIZE, E>,
    ) -> Result<(), Owned<T, FRAGS, SIZE, E>> {
        let old = link.exchange(seen, value)?;
        self.local.keep_shown(link.slot(), old);
        Ok(())
    }

    /// [`Link::clear_if`], with what readers saw before retired through the handle.
    #[inline]
    pub fn clear_if(&mut self, link: &Link<T, FRAGS, SIZE, E>, seen: &T) -> bool {
        let Ok(old) = link.slot().replace_if(Some(NonNull::from(seen).cast()), None) else {
            return false;
        };
        self.local.keep_shown(link.slot(), old);
        true
    }

    /// Keeps nothing any more: see [`Local::flush`].
    pub fn flush(&mut self) {
        self.local.flush();
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> fmt::Debug for PoolHandle<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolHandle").field(&self.local).finish()
    }
}
