//! Places in a `Box`, and lanes, for embedders who have an allocator.

use alloc::boxed::Box;
use core::{mem::MaybeUninit, ptr::NonNull};

use super::lanes::{FreeLanes, Lane};
use crate::embed::Embed;

/// Frees a place whose content was dropped.
type Free<T> = unsafe fn(NonNull<T>);

/// A place that a `Box` has let go, and what frees it again.
pub(crate) fn place<T>() -> (NonNull<MaybeUninit<T>>, Free<T>) {
    let free = |content: NonNull<T>| {
        // SAFETY: the box that was let go below, its content dropped.
        drop(unsafe { Box::from_raw(content.cast::<MaybeUninit<T>>().as_ptr()) });
    };
    let place = Box::into_raw(Box::<T>::new_uninit());
    // SAFETY: a box is not null.
    (unsafe { NonNull::new_unchecked(place) }, free)
}

/// Lanes that a `Box` has let go, and what frees them again.
pub(super) fn lanes<const FRAGS: usize, E: Embed>(
    count: usize,
) -> (NonNull<[Lane<FRAGS, E>]>, FreeLanes<FRAGS, E>) {
    let free = |lanes: NonNull<[Lane<FRAGS, E>]>| {
        // SAFETY: the box that was let go below.
        drop(unsafe { Box::from_raw(lanes.as_ptr()) });
    };
    let lanes: Box<[Lane<FRAGS, E>]> = (0..count).map(|_| Lane::new()).collect();
    // SAFETY: a box is not null.
    (unsafe { NonNull::new_unchecked(Box::into_raw(lanes)) }, free)
}
