//! `Box`, `Vec` and hashbrown's maps in fragments, through the trait `Allocator` of `allocator-api2` 0.2, 0.3 and 0.4.
//!
//! [`InFragments`] is such an allocator over an [`Mm`], by reference, in an `Arc` or its own, and over a thread's
//! [`Handle`] of one:
//!
//! ```
//! use allocator_api2_04::{boxed::Box, vec::Vec};
//! use hashbrown::HashMap; // its trait is that of 0.2
//! use ptfrag::{Domain, Mm, Region};
//! use ptfrag_client_allocator_api2::{Handle, InFragments};
//!
//! let mm = Mm::<16, 256, _>::new(Domain::global(), Region::<4096>::new(100)?);
//! let alloc = InFragments::new(&mm);
//! let boxed = Box::new_in([1_u64; 32], alloc); //      256 bytes, all of a fragment
//! let mut ages = HashMap::new_in(alloc);
//! ages.insert("Ada", 36_u8); //                        the first entry takes a fragment, the others lie there, too
//!
//! let handle = Handle::new(&mm); //                    of this thread
//! let mut primes = Vec::new_in(InFragments::new(&handle));
//! primes.extend([2_u32, 3, 5, 7]);
//!
//! assert!(primes.try_reserve_exact(60).is_ok()); //    64 x 4 bytes, in place
//! assert!(primes.try_reserve_exact(61).is_err()); //   one more does not fit
//! assert!(Box::try_new_in([0_u64; 33], alloc).is_err());
//!
//! drop((boxed, ages, primes));
//! drop(handle); //                                     it holds free fragments
//! assert_eq!(mm.pages(), 0); //                        all is home, without a grace period
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Which layouts
//! Every block is a fragment of its own, all of it, whatever was asked for. Layouts of up to `SIZE` bytes, aligned to up to
//! `SIZE`, are served; those without a size need no memory and always are. Growing and shrinking happen in place (but for
//! `grow_zeroed`, which none of these collections uses).
//!
//! Anything else, and a pool that has nothing left, is an `AllocError`. What comes of that is up to the caller:
//! - `Box::try_new_in`, `Vec::try_reserve`, hashbrown's `try_reserve` hand it on.
//! - `Box::new_in`, `Vec::push`, `HashMap::insert` and all others call `handle_alloc_error`, which ends the process with
//!   `memory allocation of 264 bytes failed`.
//!
//! A `Vec` that is full asks for twice its capacity, so one that grows by pushes can stop short of the fragment's end: with 8
//! elements of 24 bytes in 256, though there is room for 10. Made with the capacity
//! [`SIZE`](InFragments::SIZE)` / size_of::<T>()`, it has them.
//!
//! A map of hashbrown's is a table of a power of two of entries, seven eighths of which it fills, with a byte for each and 16 (or
//! 8) more. It takes the largest table that fits at once: 14 entries of 8 bytes in 256, 56 of 16 bytes in 2048,
//! 112 in 4096. Where entries come and go in it, the places of removed ones are not all used again: when none is left while more
//! than half of the capacity is in use, the next insertion asks for a larger table, which is refused. So count on half.
//! `shrink_to_fit` of one that is not empty gains nothing and takes a second fragment meanwhile.
//!
//! # What it promises
//! - A block that is deallocated is free at once, through a handle for that handle: nobody else can have seen it, so
//!   no grace period is waited for. Who shows values to readers that a grace period protects takes a `Pool` of
//!   ptfrag's instead, which puts off the destructors as well.
//! - Any thread deallocates what another one has allocated, as far as the allocator may be sent there: one with an [`Mm`] may, one
//!   with a reference to a [`Handle`] may not.
//! - The mm can be used in all other ways as well: a block's bytes are initialised when its fragment goes back.
//! - What is leaked keeps its page and the mm's head, and stays valid.
//! - When a destructor panics, a `Vec` gives its memory back all the same. A `Box` of `allocator-api2`, in every version, and a
//!   map of hashbrown's leak it: that is theirs.
//!
//! # What it costs
//! Beside what [`Mm::alloc`] and giving back cost, or through a handle [`Local::alloc`] and [`Local::give_back`], to find
//! the fragment's page, and to clear the fragment when it goes back: values leave bytes that are not initialised,
//! such as padding, and the next owner may read them. So choose fragments that are not much larger than
//! what lies in them. An mm that is emptied and filled again and again had better [keep](Mm::keeping) some pages.
//!
//! # Features
//! One for each version, by which a crate has the versions that it needs. With the feature `nightly` of 0.2 that version's
//! trait is the standard library's, which cannot be implemented on a stable compiler.
#![no_std]

extern crate alloc;

use alloc::{rc::Rc, sync::Arc};
use core::{
    alloc::Layout,
    cell::RefCell,
    ptr::{self, NonNull},
};

use ptfrag::{Embed, Frag, Local, Mm};

/// Where fragments come from and go back to.
///
/// # Safety
/// - What [`take`](Self::take) hands out is [`SIZE`](Self::SIZE) bytes, aligned to `SIZE`, and the caller's alone until it is
///   given back, wherever this is moved to, and also when it is gone.
/// - [`whole`](Self::whole) answers as said there.
/// - Clones are equal: what one has handed out any other takes back.
pub unsafe trait Fragments {
    /// Bytes of a fragment: a power of two.
    const SIZE: usize;

    /// A fragment, if there is one.
    fn take(&self) -> Option<NonNull<u8>>;

    /// The same address with the right to all of the fragment. Whoever used it may have kept the right to a part.
    ///
    /// # Safety
    /// It was taken here, and not given back.
    unsafe fn whole(&self, frag: NonNull<u8>) -> NonNull<u8>;

    /// Frees a fragment, at once. Its bytes need not be initialised.
    ///
    /// # Safety
    /// It was taken here and not given back; nobody uses it any more.
    unsafe fn give_back(&self, frag: NonNull<u8>);
}

// SAFETY: a fragment is as large and aligned as the mm's type says, and keeps its page. An mm is a handle, which may be moved, and
// has no clones.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Fragments for Mm<FRAGS, SIZE, E> {
    const SIZE: usize = SIZE;

    fn take(&self) -> Option<NonNull<u8>> {
        self.alloc().ok().map(Frag::into_raw)
    }

    unsafe fn whole(&self, frag: NonNull<u8>) -> NonNull<u8> {
        // SAFETY: the caller's, of this mm. Its bytes may not be initialised, but nobody looks into the token.
        unsafe { self.from_raw(frag) }.into_raw()
    }

    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        drop(unsafe { cleared(self, frag) });
    }
}

/// The token of a fragment whose last user may have left bytes that are not initialised.
///
/// # Safety
/// It was taken from this mm and not given back; nobody uses it any more.
unsafe fn cleared<const FRAGS: usize, const SIZE: usize, E: Embed>(
    mm: &Mm<FRAGS, SIZE, E>,
    frag: NonNull<u8>,
) -> Frag<FRAGS, SIZE, E> {
    // SAFETY: the caller's, of this mm, and no reader has seen it. All bytes are initialised before it is looked into or freed.
    let token = unsafe { mm.from_raw(frag) };
    // SAFETY: as many bytes, which are the token's.
    unsafe { token.as_ptr().write_bytes(0, SIZE) };
    token
}

/// A thread's handle of an mm: a [`Local`] that several collections of the thread share.
///
/// What it holds nobody else can get: see [`Local`]. Hooks and page sources must not come back to the very handle that they are
/// called through; that is a panic.
///
/// It is one thread's, as is what borrows it:
///
/// ```compile_fail,E0277
/// # use ptfrag::Std;
/// # use ptfrag_client_allocator_api2::{Handle, InFragments};
/// fn sent<T: Send>() {}
/// sent::<InFragments<&Handle<16, 256, Std<'static>>>>();
/// ```
///
/// Nor does a collection outlive it, or an mm that is borrowed:
///
/// ```compile_fail,E0505
/// # use allocator_api2_04::vec::Vec;
/// # use ptfrag::{Domain, Mm, Region};
/// # use ptfrag_client_allocator_api2::{Handle, InFragments};
/// # let mm = Mm::<16, 256, _>::new(Domain::global(), Region::<4096>::new(100)?);
/// let handle = Handle::new(&mm);
/// let mut vec = Vec::new_in(InFragments::new(&handle));
/// drop(handle);
/// vec.push(1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Handle<'m, const FRAGS: usize, const SIZE: usize, E: Embed> {
    mm: &'m Mm<FRAGS, SIZE, E>,
    local: RefCell<Local<FRAGS, SIZE, E>>,
}

impl<'m, const FRAGS: usize, const SIZE: usize, E: Embed> Handle<'m, FRAGS, SIZE, E> {
    /// A handle for one thread.
    ///
    /// # Panics
    /// As [`Mm::local`].
    #[must_use]
    pub fn new(mm: &'m Mm<FRAGS, SIZE, E>) -> Self {
        Self { mm, local: RefCell::new(mm.local()) }
    }

    /// Keeps nothing any more: see [`Local::flush`].
    pub fn flush(&self) {
        self.local.borrow_mut().flush();
    }
}

// SAFETY: as for the mm; a handle's fragments are the mm's.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Fragments
    for Handle<'_, FRAGS, SIZE, E>
{
    const SIZE: usize = SIZE;

    fn take(&self) -> Option<NonNull<u8>> {
        self.local.borrow_mut().alloc().ok().map(Frag::into_raw)
    }

    unsafe fn whole(&self, frag: NonNull<u8>) -> NonNull<u8> {
        // SAFETY: passed on to the caller.
        unsafe { self.mm.whole(frag) }
    }

    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        let token = unsafe { cleared(self.mm, frag) };
        self.local.borrow_mut().give_back(token);
    }
}

macro_rules! shared {
    ($($handle:ty)*) => {$(
        // SAFETY: passed on to what all clones share.
        unsafe impl<F: Fragments> Fragments for $handle {
            const SIZE: usize = F::SIZE;

            fn take(&self) -> Option<NonNull<u8>> {
                (**self).take()
            }

            unsafe fn whole(&self, frag: NonNull<u8>) -> NonNull<u8> {
                // SAFETY: passed on to the caller.
                unsafe { (**self).whole(frag) }
            }

            unsafe fn give_back(&self, frag: NonNull<u8>) {
                // SAFETY: passed on to the caller.
                unsafe { (**self).give_back(frag) };
            }
        }
    )*};
}

shared! { &F Rc<F> Arc<F> }

/// An allocator whose blocks are fragments.
///
/// It is sent and shared as what it is made of. With an [`Mm`] of its own it is the only owner, and has no clones; a
/// collection that has it keeps the mm.
#[derive(Clone, Copy, Debug)]
pub struct InFragments<F>(F);

impl<F: Fragments> InFragments<F> {
    /// Bytes of the largest block, and the greatest alignment.
    pub const SIZE: usize = F::SIZE;

    /// The allocator.
    pub const fn new(fragments: F) -> Self {
        Self(fragments)
    }

    /// A block for this layout. One without a size is no memory at all, and a place of that alignment.
    fn allocate(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        if layout.size() == 0 {
            let nowhere = NonNull::new(ptr::without_provenance_mut(layout.align()));
            return nowhere.map(|nowhere| NonNull::slice_from_raw_parts(nowhere, 0));
        }
        if Self::fits(layout) { self.0.take().map(block::<F>) } else { None }
    }

    fn fits(layout: Layout) -> bool {
        layout.size() <= F::SIZE && layout.align() <= F::SIZE
    }

    /// # Safety
    /// The block is one of this allocator's for that layout, which nobody uses any more. (Without a size it need not be
    /// one: a `Box` of nothing frees what it never allocated.)
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: a layout with a size fits none but a fragment.
            unsafe { self.0.give_back(block) };
        }
    }

    /// A block with the same contents for another layout; if there is none, nothing has changed.
    ///
    /// # Safety
    /// The block is one of this allocator's for the old layout.
    unsafe fn resize(&self, old: NonNull<u8>, from: Layout, to: Layout) -> Option<NonNull<[u8]>> {
        if from.size() == 0 {
            return self.allocate(to);
        }
        if to.size() == 0 {
            // SAFETY: passed on to the caller.
            unsafe { self.deallocate(old, from) };
            return self.allocate(to);
        }
        // SAFETY: a layout with a size fits none but a fragment.
        Self::fits(to).then(|| block::<F>(unsafe { self.0.whole(old) }))
    }
}

/// All of a fragment.
fn block<F: Fragments>(frag: NonNull<u8>) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(frag, F::SIZE)
}

macro_rules! allocator {
    ($($feature:literal $version:ident)*) => {$(
        #[cfg(feature = $feature)]
        const _: () = {
            use $version::alloc::{AllocError, Allocator};

            type Allocated = Result<NonNull<[u8]>, AllocError>;

            // SAFETY: a block with a size is a fragment, which stays until it is given back; what `Fragments` promise of moves
            // and clones holds of the allocator.
            unsafe impl<F: Fragments> Allocator for InFragments<F> {
                fn allocate(&self, layout: Layout) -> Allocated {
                    self.allocate(layout).ok_or(AllocError)
                }

                unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                    // SAFETY: passed on to the caller.
                    unsafe { self.deallocate(block, layout) };
                }

                unsafe fn grow(&self, old: NonNull<u8>, from: Layout, to: Layout) -> Allocated {
                    // SAFETY: passed on to the caller.
                    unsafe { self.resize(old, from, to) }.ok_or(AllocError)
                }

                unsafe fn shrink(&self, old: NonNull<u8>, from: Layout, to: Layout) -> Allocated {
                    // SAFETY: passed on to the caller.
                    unsafe { self.resize(old, from, to) }.ok_or(AllocError)
                }
            }
        };
    )*};
}

allocator! {
    "allocator-api2-02" allocator_api2_02
    "allocator-api2-03" allocator_api2_03
    "allocator-api2-04" allocator_api2_04
}
