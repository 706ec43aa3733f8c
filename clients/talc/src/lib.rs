//! Heaps for [talc] out of fragments.
//!
//! talc is a general allocator without an operating system: its [`Source`] gives it memory when it runs out, and may
//! take back what has become free. Here each heap is one fragment of an [`Mm`]. Several talcs (one for each thread, one
//! for each process of a kernel) draw on one mm without a lock between them, beside whoever else uses the mm, and none of
//! them keeps to itself what it has once needed.
//!
//! # What it promises
//! - When talc runs out it gets one more fragment. What would not fit a whole one is refused, and takes none.
//! - A fragment in which nothing is allocated any more is given back at once, but for the first one, where talc keeps its
//!   lists, and one to spare, so that a block that comes and goes does not draw a fragment each time.
//!   [`trim`](Frags::trim) gives back the latter.
//! - All fragments go back when the talc is dropped, whatever is still allocated in them.
//! - Nothing is published and nothing retired: no grace period is waited for, and no callback runs.
//!
//! # What it costs
//! - A block is at most `SIZE` less 96 bytes large (64-bit machines, aligned to 32 bytes at most), since fragments are not
//!   each other's neighbours. 16 fragments of 64 KiB, pages of 1 MiB, are a good choice: blocks of all sizes that programs
//!   mostly ask for, 32 bytes of 64 KiB lost, 16 heaps to a page. With fragments of 4 KiB talc's lists take more than a third
//!   of the first one; with pages of two fragments a page gets home more easily, but it is drawn eight times as often.
//! - A fragment that is given back is cleared: what was allocated in it may have left bytes that are not initialised
//!   (padding), and its next owner may read them.
//!
//! # As `#[global_allocator]`
//! The RCU and the page source then must not come back to it, since they are called under talc's lock:
//! [`Domain`](ptfrag::Domain) and [`Region`](ptfrag::Region) do so only where they are made or dropped.
//!
//! ```
//! use allocator_api2::vec::Vec;
//! use ptfrag::{Domain, Mm, Region};
//! use ptfrag_client_talc::Frags;
//! use talc::TalcLock;
//!
//! let region = Region::<{ 16 * 65536 }>::new(64)?; // at most 64 MiB
//! let mm = Mm::<16, 65536, _>::new(Domain::global(), region.clone());
//! // SAFETY: the source stays where it is, and nobody else gives this talc heaps.
//! let talc = TalcLock::<parking_lot::RawMutex, _>::new(unsafe { Frags::new(&mm) });
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         scope.spawn(|| {
//!             let mut numbers = Vec::new_in(&talc);
//!             numbers.extend(0..4000_u64);
//!             assert_eq!(numbers.iter().sum::<u64>(), 4000 * 3999 / 2);
//!         });
//!     }
//! });
//! drop(talc);
//! assert_eq!(region.pages_out(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```
#![no_std]

use core::{alloc::Layout, fmt, ptr::NonNull};

use ptfrag::{Embed, Mm};
use talc::{
    base::{CHUNK_UNIT, Talc, binning::Binning},
    source::Source,
};

/// A [`Source`] whose heaps are fragments of an mm.
pub struct Frags<'m, const FRAGS: usize, const SIZE: usize, E: Embed> {
    mm: &'m Mm<FRAGS, SIZE, E>,
    /// The fragments with a heap in them.
    heaps: Option<NonNull<Heap>>,
    /// A fragment without one.
    spare: Option<NonNull<u8>>,
}

/// What stands in front of a heap, in the same fragment: the list of all of them.
struct Heap {
    next: Option<NonNull<Heap>>,
    prev: Option<NonNull<Heap>>,
}

// SAFETY: the fragments are the source's, and an mm can be used by any thread.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for Frags<'_, FRAGS, SIZE, E> {}

impl<'m, const FRAGS: usize, const SIZE: usize, E: Embed> Frags<'m, FRAGS, SIZE, E> {
    /// A source without heaps.
    ///
    /// # Safety
    /// It is put into one talc and stays there, in its field `source`, until that is dropped; nothing that was allocated
    /// there is used afterwards. Nobody calls that talc's `claim`, `extend`, `truncate` or `resize`.
    #[must_use]
    pub const unsafe fn new(mm: &'m Mm<FRAGS, SIZE, E>) -> Self {
        Self { mm, heaps: None, spare: None }
    }

    /// Gives back the fragment that is kept to spare, if there is one.
    pub fn trim(&mut self) {
        if let Some(frag) = self.spare.take() {
            // SAFETY: it is the source's, and nothing is in it.
            unsafe { self.give_back(frag) };
        }
    }

    /// # Safety
    /// The fragment is the source's, nothing is in it, and it is in no list.
    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: all of the fragment is the source's.
        unsafe { frag.write_bytes(0, SIZE) };
        // SAFETY: it came from this mm, no reader has ever seen it, and its bytes have just been initialised.
        drop(unsafe { self.mm.from_raw(frag) });
    }

    /// # Safety
    /// The fragment is the source's, and not in the list yet.
    unsafe fn link(&mut self, frag: NonNull<u8>) {
        let heap = frag.cast::<Heap>();
        // SAFETY: the fragment's first bytes are not talc's.
        unsafe { heap.write(Heap { next: self.heaps, prev: None }) };
        if let Some(mut next) = self.heaps.replace(heap) {
            // SAFETY: a fragment in the list is the source's.
            unsafe { next.as_mut() }.prev = Some(heap);
        }
    }

    /// # Safety
    /// The fragment is in the list.
    unsafe fn unlink(&mut self, frag: NonNull<u8>) {
        // SAFETY: its first bytes are a link, as for all in the list.
        let Heap { next, prev } = unsafe { frag.cast().read() };
        match prev {
            // SAFETY: as above.
            Some(mut prev) => unsafe { prev.as_mut() }.next = next,
            None => self.heaps = next,
        }
        if let Some(mut next) = next {
            // SAFETY: as above.
            unsafe { next.as_mut() }.prev = prev;
        }
    }

    /// Whether talc finds a block in a fragment that has just become a heap. (If it did not, it would ask again for ever.)
    fn fits<B: Binning>(layout: Layout) -> bool {
        // In front of what talc hands out, and behind it, are at most a unit each.
        let align = layout.align().max(CHUNK_UNIT);
        let need = layout.size().saturating_add(align).saturating_add(2 * CHUNK_UNIT);
        // What would come from the last list talc does not look for in the one before, where the heap may be.
        let last = B::BIN_COUNT - 1;
        need <= SIZE
            && (B::size_to_bin_ceil(need) < last || B::size_to_bin(SIZE - 2 * CHUNK_UNIT) >= last)
    }
}

// SAFETY: nothing but the mm is called here, and nobody reaches a talc through that. A heap is all of its fragment behind the
// link, and its size never changes: it is there, or it is gone.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Source for Frags<'_, FRAGS, SIZE, E> {
    const TRACK_HEAP_END: bool = true;

    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !Self::fits::<B>(layout) {
            return Err(());
        }
        let source = &mut talc.source;
        let frag = match source.spare.take() {
            Some(frag) => frag,
            None => source.mm.alloc().map_err(drop)?.into_raw(),
        };
        // SAFETY: the link is smaller than a fragment.
        let heap = unsafe { frag.add(size_of::<Heap>()) };
        // SAFETY: the rest of the fragment is talc's until `resize` has heard that nothing is in it any more.
        match unsafe { talc.claim(heap.as_ptr(), SIZE - size_of::<Heap>()) } {
            // SAFETY: the fragment is new.
            Some(_) => unsafe { talc.source.link(frag) },
            // Fragments have no room for talc's lists.
            None => {
                talc.source.spare = Some(frag);
                return Err(());
            }
        }
        // If it is the first one the lists may have left too little room; then talc asks again.
        Ok(())
    }

    unsafe fn resize(&mut self, base: *mut u8, end: *mut u8, is_heap_base: bool) -> *mut u8 {
        // The end of a heap is the end of its fragment.
        let Some(frag) = NonNull::new(end.wrapping_sub(SIZE)).filter(|_| is_heap_base) else {
            return end;
        };
        // SAFETY: it has a heap.
        unsafe { self.unlink(frag) };
        match self.spare {
            None => self.spare = Some(frag),
            // SAFETY: nothing is in the heap, and `base` says that it is gone.
            Some(_) => unsafe { self.give_back(frag) },
        }
        base
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Drop for Frags<'_, FRAGS, SIZE, E> {
    fn drop(&mut self) {
        self.trim();
        while let Some(heap) = self.heaps {
            // SAFETY: it is in the list.
            unsafe { self.unlink(heap.cast()) };
            // SAFETY: the talc is gone, and with it all that was in it.
            unsafe { self.give_back(heap.cast()) };
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Frags<'_, FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frags").field(self.mm).finish()
    }
}
