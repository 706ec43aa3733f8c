//! A handle as a pointer, for a structure of C to hold.

use core::{
    mem::{ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
};

use super::{Local, LocalPart};
use crate::embed::Embed;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Puts the handle away in its part, and answers with a pointer to it.
    #[must_use = "the handle leaks unless the pointer is turned back into it"]
    pub fn into_ptr(self) -> NonNull<LocalPart<FRAGS, SIZE, E>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handle is not used after this, nor dropped.
        let moved = unsafe { ptr::read(&raw const *this) };
        let put = |place: *mut MaybeUninit<Self>| {
            // SAFETY: the place is the handle's.
            unsafe { place.write(MaybeUninit::new(moved)) };
        };
        this.part().away.with_mut(put);
        this.part
    }

    /// Takes the handle out again.
    ///
    /// # Safety
    /// The pointer came from [`into_ptr`](Self::into_ptr) of a handle of this very type, which is still
    /// there, and nobody else uses it.
    #[must_use]
    pub unsafe fn from_ptr(part: NonNull<LocalPart<FRAGS, SIZE, E>>) -> Self {
        // SAFETY: the handle that is put away keeps the part.
        let away = unsafe { &part.as_ref().away };
        // SAFETY: it is there, and taken out once.
        away.with(|place| unsafe { place.cast::<Self>().read() })
    }

    /// The handle where it was put away, to be used there.
    ///
    /// # Safety
    /// As for [`from_ptr`](Self::from_ptr), as long as the reference is used. The handle stays where it is:
    /// it is neither overwritten nor swapped nor taken out through the reference, since it lies in the very
    /// part that its drop frees.
    #[must_use]
    pub unsafe fn at_ptr<'a>(part: NonNull<LocalPart<FRAGS, SIZE, E>>) -> &'a mut Self {
        // SAFETY: as above.
        let away = unsafe { &part.as_ref().away };
        // SAFETY: it is there, and the caller has it alone.
        away.with_mut(|place| unsafe { &mut *place.cast::<Self>() })
    }
}
