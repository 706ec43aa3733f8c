//! The blocks of those who take every block from the heap.

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::allocator::{Block, Holding};

/// Blocks that exist, if they count themselves.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// `SIZE` bytes, not initialised and aligned to 16, as malloc's are anyhow.
///
/// With `COUNT` they count themselves, which tells when everything is back; where only time is
/// measured, they do not.
#[derive(Debug)]
#[repr(align(16))]
pub struct Payload<const SIZE: usize, const COUNT: bool>([MaybeUninit<u8>; SIZE]);

impl<const SIZE: usize, const COUNT: bool> Payload<SIZE, COUNT> {
    /// For those who insist on making the block themselves.
    #[inline(always)]
    #[must_use]
    pub fn new() -> Self {
        count::<COUNT>();
        Self([const { MaybeUninit::uninit() }; SIZE])
    }

    /// One on the heap.
    #[inline(always)]
    #[must_use]
    pub fn boxed() -> Box<Self> {
        count::<COUNT>();
        let place = Box::<Self>::new_uninit();
        // SAFETY: a payload needs no initialisation.
        unsafe { place.assume_init() }
    }

    /// What all of them hold. 0 if they do not count themselves.
    #[must_use]
    pub fn holding() -> Holding {
        let bytes = ALIVE.load(Ordering::Acquire) * SIZE;
        Holding { bytes, heap: bytes, beside: 0 }
    }

    /// How many have been retired and wait, if the threads still hold `held`.
    #[must_use]
    pub fn waiting(held: usize) -> usize {
        ALIVE.load(Ordering::Acquire) - held
    }
}

impl<const SIZE: usize, const COUNT: bool> Default for Payload<SIZE, COUNT> {
    fn default() -> Self {
        Self::new()
    }
}

#[inline(always)]
fn count<const COUNT: bool>() {
    if COUNT {
        ALIVE.fetch_add(1, Ordering::Relaxed);
    }
}

impl<const SIZE: usize, const COUNT: bool> Drop for Payload<SIZE, COUNT> {
    #[inline(always)]
    fn drop(&mut self) {
        if COUNT {
            ALIVE.fetch_sub(1, Ordering::Release);
        }
    }
}

impl<const SIZE: usize, const COUNT: bool> Block for Box<Payload<SIZE, COUNT>> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}
