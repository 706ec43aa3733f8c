//! A published value.

use core::{fmt, marker::PhantomData, ptr::NonNull};

use super::{Drops, Owned};
use crate::{
    embed::{Embed, Rcu},
    frag::Shown,
    slot::Slot,
};

/// A pointer to at most one value, which readers follow under a guard: a [`Slot`](crate::Slot) with a type.
///
/// It owns the value. Whoever replaces or clears it retires that, so a reader keeps what it has found until its guard is
/// dropped; then the destructor runs. It may be a part of a value of the same pool, as in a list, and may outlive the
/// pool, whose mm it pins. Dropping it clears it.
///
/// A reference does not outlive its guard:
///
/// ```compile_fail,E0505
/// # use ptfrag::{Domain, Region};
/// # let domain = Domain::global();
/// # let pool = <ptfrag::pool_of!(String)>::new(domain, Region::new(10)?);
/// let link = pool.link();
/// let guard = domain.read();
/// let seen = link.load(&guard);
/// drop(guard);
/// println!("{seen:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Threads share it if they may share the value, and one gives it to another on the same condition, since it may have
/// a reference to the value still:
///
/// ```compile_fail,E0277
/// # use ptfrag::{Domain, Region};
/// fn shared<T: Sync>(_: T) {}
/// # let pool = <ptfrag::pool_of!(std::cell::Cell<u8>)>::new(Domain::global(), Region::new(10)?);
/// shared(pool.link());
/// # Ok::<(), std::io::Error>(())
/// ```
/// ```compile_fail,E0277
/// # use ptfrag::{Domain, Region};
/// fn sent<T: Send>(_: T) {}
/// # let pool = <ptfrag::pool_of!(std::cell::Cell<u8>)>::new(Domain::global(), Region::new(10)?);
/// sent(pool.link());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Link<T, const FRAGS: usize, const SIZE: usize, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    slot: Slot<FRAGS, SIZE, E>,
    /// As an `Arc` does, it shares the value also when it is sent: whoever had it may have a reference.
    value: PhantomData<(T, &'static T)>,
}

impl<T, const FRAGS: usize, const SIZE: usize, E> Link<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    pub(super) fn new(slot: Slot<FRAGS, SIZE, E>) -> Self {
        Self { slot, value: PhantomData }
    }

    /// Shows a value to readers, and retires what they saw before.
    ///
    /// # Panics
    /// When the value is of another pool; it is dropped then.
    #[inline]
    pub fn publish(&self, value: Owned<T, FRAGS, SIZE, E>) {
        drop(self.slot.replace(Some(self.of_this_pool(value).into_frag())));
    }

    /// Shows readers nothing any more, and retires what they saw before.
    #[inline]
    pub fn clear(&self) {
        self.slot.clear();
    }

    /// Shows a value in the place of `seen`, which is retired.
    ///
    /// # Errors
    /// The value, when readers see something else by now.
    ///
    /// # Panics
    /// When the value is of another pool; it is dropped then.
    #[inline]
    pub fn publish_if(
        &self,
        seen: Option<&T>,
        value: Owned<T, FRAGS, SIZE, E>,
    ) -> Result<(), Owned<T, FRAGS, SIZE, E>> {
        self.exchange(seen, value).map(drop)
    }

    /// Shows readers nothing any more, if what they see is `seen`, which is retired then; says whether it was.
    #[inline]
    pub fn clear_if(&self, seen: &T) -> bool {
        self.slot.replace_if(Some(NonNull::from(seen).cast()), None).map(drop).is_ok()
    }

    /// [`publish_if`](Self::publish_if), with what readers saw before for the caller to retire.
    #[inline]
    pub(super) fn exchange(
        &self,
        seen: Option<&T>,
        value: Owned<T, FRAGS, SIZE, E>,
    ) -> Result<Option<Shown<FRAGS, SIZE, E>>, Owned<T, FRAGS, SIZE, E>> {
        // A value that is still there in its place is the same: its memory is not used for another as long as `seen` is
        // borrowed.
        let seen = seen.map(|seen| NonNull::from(seen).cast());
        let frag = self.of_this_pool(value).into_frag();
        self.slot.replace_if(seen, Some(frag)).map_err(|frag| {
            let Some(frag) = frag else { unreachable!("it comes back") };
            // SAFETY: it comes back as it was.
            unsafe { Owned::from_frag(frag) }
        })
    }

    /// What is published now, until `guard` is dropped.
    ///
    /// # Panics
    /// When `guard` is of another RCU domain than the pool.
    #[must_use]
    #[inline]
    pub fn load<'g>(&self, guard: &'g <E::Rcu as Rcu>::Guard) -> Option<&'g T> {
        let value = self.slot.load_ptr(guard)?;
        // SAFETY: a value was published there, which nobody writes or drops before the grace period that `guard` holds
        // up.
        Some(unsafe { value.cast().as_ref() })
    }

    pub(super) fn slot(&self) -> &Slot<FRAGS, SIZE, E> {
        &self.slot
    }

    /// Also what a handle publishes is checked before it is taken apart: else a panic would leave it in the fragment.
    #[inline]
    pub(super) fn of_this_pool(&self, value: Owned<T, FRAGS, SIZE, E>) -> Owned<T, FRAGS, SIZE, E> {
        assert!(self.slot.owns(value.as_frag()), "ptfrag: the value is of another pool");
        value
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> fmt::Debug for Link<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.slot).finish()
    }
}
