//! The fragments that a handle holds, in the order in which it got them back.

use core::{
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

use crate::{
    embed::Embed,
    frag::Frag,
    sync::{UnsafeCell, bound},
};

/// Room for so many: a power of two.
pub(super) const ROOM: u32 = bound(512, 4);

/// A circular buffer whose places are numbered on and on (the numbers wrap around).
///
/// It does not know which places hold something: its users do.
pub(super) struct Ring<const FRAGS: usize, const SIZE: usize, E: Embed>(
    [UnsafeCell<MaybeUninit<Frag<FRAGS, SIZE, E>>>; ROOM as usize],
);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Ring<FRAGS, SIZE, E> {
    pub(super) fn new() -> Self {
        Self(core::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())))
    }

    #[inline]
    fn place(&self, at: u32) -> &UnsafeCell<MaybeUninit<Frag<FRAGS, SIZE, E>>> {
        &self.0[(at % ROOM) as usize]
    }

    /// # Safety
    /// The place is the caller's, and empty.
    #[inline]
    pub(super) unsafe fn put(&self, at: u32, frag: ManuallyDrop<Frag<FRAGS, SIZE, E>>) {
        let frag = MaybeUninit::new(ManuallyDrop::into_inner(frag));
        // SAFETY: passed on to the caller.
        self.place(at).with_mut(|place| unsafe { place.write(frag) });
    }

    /// The address of the fragment that is there.
    ///
    /// # Safety
    /// The place holds a fragment, and nobody writes to it meanwhile.
    pub(super) unsafe fn address(&self, at: u32) -> NonNull<u8> {
        self.place(at).with(|place| {
            // SAFETY: passed on to the caller.
            let frag = unsafe { &*place.cast::<Frag<FRAGS, SIZE, E>>() };
            frag.as_ptr()
        })
    }

    /// Takes out what is there.
    ///
    /// # Safety
    /// The place is the caller's, and holds a fragment, which is not taken out twice.
    #[inline]
    pub(super) unsafe fn take(&self, at: u32) -> Frag<FRAGS, SIZE, E> {
        // SAFETY: passed on to the caller.
        let frag = self.place(at).with(|place| unsafe { place.read() });
        // SAFETY: as above.
        unsafe { frag.assume_init() }
    }
}
