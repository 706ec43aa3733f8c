//! Memory from the system's own allocator.
//!
//! What a domain is made of comes from there, since the program's allocator may itself be built on a domain: it would come
//! back to the allocation that is just being made.

use core::{
    alloc::Layout,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};
use std::alloc::{GlobalAlloc, System, handle_alloc_error};

/// Room for one or more `T`. Ends the process if there is none, as a `Box` does.
fn room<T>(layout: Layout) -> NonNull<T> {
    if layout.size() == 0 {
        return NonNull::dangling();
    }
    // SAFETY: it is not nothing that is asked for.
    let at = unsafe { System.alloc(layout) };
    NonNull::new(at.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives room back.
///
/// # Safety
/// It is from [`room`] for this layout, and is not used any more.
unsafe fn give_back(at: NonNull<u8>, layout: Layout) {
    if layout.size() != 0 {
        // SAFETY: it was asked for there.
        unsafe { System.dealloc(at.as_ptr(), layout) };
    }
}

/// A `Box`, but for where its memory comes from; and it may be moved while others refer to what is in it.
pub(crate) struct Own<T: ?Sized>(NonNull<T>);

// SAFETY: as for a `Box`.
unsafe impl<T: ?Sized + Send> Send for Own<T> {}
// SAFETY: likewise.
unsafe impl<T: ?Sized + Sync> Sync for Own<T> {}

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Self {
        let at = room(Layout::new::<T>());
        // SAFETY: there is room for it, and nobody else knows of it.
        unsafe { at.write(value) };
        Self(at)
    }

    /// The value, which nobody drops before [`from_raw`](Self::from_raw) does.
    pub(crate) fn into_raw(self) -> *mut T {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// What [`into_raw`](Self::into_raw) let go, if it is not null.
    ///
    /// # Safety
    /// It is null, or from there, and this is done once.
    pub(crate) unsafe fn from_raw(value: *mut T) -> Option<Self> {
        NonNull::new(value).map(Self)
    }
}

impl<T> Own<[T]> {
    /// So many values.
    pub(crate) fn slice(len: usize, mut make: impl FnMut() -> T) -> Self {
        let layout = Layout::array::<T>(len).expect("ptfrag: far too many");
        let at: NonNull<T> = room(layout);
        for place in 0..len {
            // SAFETY: there is room for so many.
            let place = unsafe { at.add(place) };
            // SAFETY: likewise, and nobody else knows of it.
            unsafe { place.write(make()) };
        }
        Self(NonNull::slice_from_raw_parts(at, len))
    }
}

impl<T: ?Sized> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there until this is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Own<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: likewise, and it is this one's.
        unsafe { self.0.as_mut() }
    }
}

impl<T: ?Sized> Drop for Own<T> {
    fn drop(&mut self) {
        let layout = Layout::for_value(&**self);
        // SAFETY: nobody uses it any more.
        unsafe { self.0.drop_in_place() };
        // SAFETY: it was made there, for a value of this size.
        unsafe { give_back(self.0.cast(), layout) };
    }
}
