//! Page-table frames for the crate `x86_64`: frames of 4 KiB, 16 to a page of 64 KiB, which go back after an RCU grace
//! period. So whoever walks the tables in software, under a guard, may go on in a table that is being collapsed.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`Frames`] | [`FrameAllocator`] and [`FrameDeallocator`] over an mm; [takes trees apart](Frames::retire_tables) |
//! | [`Direct`] | where physical memory is mapped: at an offset, which is zero where the two are the same |
//! | [`SharedEntry`] | an entry of a table that walkers see: loaded and exchanged atomically |
//! | [`Tree`] | a walk under a guard |
//!
//! ```
//! use ptfrag::{Domain, Region};
//! use ptfrag_client_x86_64::{Direct, Frames, Tree, table_mm};
//! use x86_64::{
//!     PhysAddr, VirtAddr,
//!     structures::paging::{
//!         FrameAllocator, FrameDeallocator, MappedPageTable, Mapper, Page, PageTableFlags, PhysFrame, Size4KiB,
//!         mapper::PageTableFrameMapping,
//!         page_table::{PageTableEntry, PageTableLevel},
//!     },
//! };
//!
//! let domain = Domain::global();
//! let mm = table_mm(domain, Region::new(100)?); // at most 100 pages, so 1600 frames
//! // SAFETY: here a physical address is an address of the process.
//! let map = unsafe { Direct::new(0) };
//! let mut frames = Frames::new(&mm, map);
//!
//! // Built by the crate's own mapper, while nobody else knows of it.
//! let root = frames.allocate_frame().expect("100 pages are enough");
//! let page = Page::<Size4KiB>::containing_address(VirtAddr::new(0x1234_5000));
//! let frame = PhysFrame::containing_address(PhysAddr::new(0x7000));
//! let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
//! {
//!     // SAFETY: the frame is zeroed, and nobody else has it.
//!     let table = unsafe { &mut *map.frame_to_pointer(root) };
//!     // SAFETY: an empty table, whose frames lie where `map` says.
//!     let mut mapper = unsafe { MappedPageTable::new(table, map) };
//!     // SAFETY: nothing uses the mapping.
//!     unsafe { mapper.map_to(page, frame, flags, &mut frames) }.expect("not mapped yet").ignore();
//! }
//!
//! // From now on it has walkers, and changes through shared entries only.
//! // SAFETY: so it does, and its tables are retired when they have been taken off.
//! let tree = unsafe { Tree::new(root, map, domain) };
//! let guard = domain.read();
//! let addr = page.start_address() + 0x10;
//! assert_eq!(tree.walk(&guard, addr), Some((PhysAddr::new(0x7010), flags)));
//!
//! let (top, ..) = tree.find(&guard, addr, PageTableLevel::Four);
//! // SAFETY: the new entry leads nowhere, and what the old one leads to is retired below.
//! let off = unsafe { top.swap(&PageTableEntry::new()) };
//! // SAFETY: nobody finds these tables any more.
//! unsafe { frames.retire_tables(&off, PageTableLevel::Three) };
//! assert_eq!(tree.walk(&guard, addr), None);
//! drop(guard); // now the tables can be handed out again
//! // SAFETY: nobody walks the tree any more.
//! unsafe { frames.deallocate_frame(root) };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//! - A frame is aligned, nobody else's, and **all zero**. The mapper enters a new table in its parent before it clears it:
//!   with anything else in it the processor could walk what its last user has left.
//! - A frame that is deallocated is retired: its bytes stay as they are until every guard that there is now has been
//!   dropped. It may be deallocated with guards open, by any thread, and that never fails, allocates or waits.
//! - What the source does not have is `None`, which the mapper passes on as `FrameAllocationFailed`. The tables that it
//!   has linked until then stay linked; `CleanUp::clean_up` finds them.
//! - A second deallocation, or that of a frame that is not from here, is a panic, as far as `ptfrag` can tell.
//!
//! # The mapper's stores, and walkers
//! `MappedPageTable` and `OffsetPageTable` read and write entries as plain memory, through references. In Rust a plain
//! store while another thread loads the same entry is undefined behaviour, be the load atomic or volatile: so a mapper and
//! walkers never have the same table at the same time. What makes this easy to keep:
//! 1. A subtree is *built* by the mapper in a tree of its own that nobody else knows.
//! 2. It is *published* by one exchange of the entry above it ([`SharedEntry::swap`], which releases the mapper's stores),
//!    and not written to from then on but by such exchanges.
//! 3. It is *taken off* by another exchange, which puts nothing, a huge page or a newer subtree in its place.
//! 4. Its tables are *retired* by [`Frames::retire_tables`], which only reads: walkers may be there still. The clean-up of
//!    the mapper writes, so it is for trees without walkers: those that nobody knows yet, or that were taken off before a
//!    grace period that is over (`Domain::synchronize`).
//!
//! The processor's walkers are outside of the language. Flush what they may remember of a table before it is deallocated;
//! what the mapper gives to be flushed (`MapperFlush`) is ignored in user space, where the instruction is not allowed.
//!
//! # What it costs
//! `ptfrag`'s allocation and retirement, and each frame is cleared on its way back, a second time beside the mapper's own.
//! A walk is an atomic load for each level, in a section that the caller has entered. 40 to 64 bytes of metadata for 16 frames.

mod entry;
mod walk;

use core::ptr::{self, NonNull};

use ptfrag::{Domain, Embed, Mm, Region, Std, Zeroed};
use x86_64::PhysAddr;
use x86_64::structures::paging::mapper::PageTableFrameMapping;
use x86_64::structures::paging::page_table::{PageTable, PageTableEntry, PageTableLevel};
use x86_64::structures::paging::{FrameAllocator, FrameDeallocator, PhysFrame, Size4KiB};

pub use self::{entry::SharedEntry, walk::Tree};

/// Bytes of a page of the source.
pub const PAGE: usize = 65536;
/// Bytes of a frame.
pub const FRAME: usize = 4096;
/// Frames of a page.
pub const FRAGS: usize = PAGE / FRAME;

/// Hooks with which every frame is handed out all zero.
pub type ZeroedFrames = Zeroed<PAGE, FRAME>;

/// The mm of frames, over the built-in parts.
pub type TableMm<'d> = Mm<FRAGS, FRAME, Std<'d, PAGE, ZeroedFrames>>;

/// An mm of frames over the built-in parts.
#[must_use]
pub fn table_mm(domain: &Domain, region: Region<PAGE>) -> TableMm<'_> {
    // SAFETY: for an mm of this geometry, and nothing else.
    Mm::new_in(domain, region, unsafe { Zeroed::new() })
}

/// Physical memory that is mapped at an offset.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    offset: u64,
}

impl Direct {
    /// Physical address plus `offset` is the address at which it is used.
    ///
    /// # Safety
    /// It is so for all memory of which page tables are made, that of the source of the [`Frames`] above all.
    #[must_use]
    pub const unsafe fn new(offset: u64) -> Self {
        Self { offset }
    }

    fn physical(self, frame: NonNull<u8>) -> PhysFrame {
        // Whoever looks at a table comes to it by its number: the pointer is made of that again.
        let addr = frame.as_ptr().expose_provenance() as u64;
        PhysFrame::containing_address(PhysAddr::new(addr.wrapping_sub(self.offset)))
    }
}

// SAFETY: so it is promised in `new`.
unsafe impl PageTableFrameMapping for Direct {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        let addr = frame.start_address().as_u64().wrapping_add(self.offset);
        ptr::with_exposed_provenance_mut(addr as usize)
    }
}

/// The frames of an mm, for one thread at a time; each can have its own.
///
/// In the place of the reference there can be a [`Local`](ptfrag::Local), which has the same two calls.
#[derive(Debug)]
pub struct Frames<'m, E: Embed> {
    mm: &'m Mm<FRAGS, FRAME, E>,
    map: Direct,
}

impl<'m, E: Embed<Hooks = ZeroedFrames>> Frames<'m, E> {
    /// The frames of `mm`, which lie where `map` says.
    pub const fn new(mm: &'m Mm<FRAGS, FRAME, E>, map: Direct) -> Self {
        Self { mm, map }
    }

    /// Deallocates the table on which an entry leads, and all below it. Writes to none of them: walkers may still be there,
    /// and find everything as it was. `level` is the table's, hence below the entry's.
    ///
    /// # Safety
    /// The entry was taken off, from a tree whose tables are of this mm, and nobody changes or deallocates any of them besides.
    pub unsafe fn retire_tables(&mut self, off: &PageTableEntry, level: PageTableLevel) {
        let Ok(frame) = off.frame() else { return };
        if let Some(lower) = level.next_lower_level() {
            let table = self.map.frame_to_pointer(frame);
            for index in 0..512 {
                // SAFETY: the table is retired below, and until then nobody writes to it.
                let entry = unsafe { SharedEntry::at(table, index) };
                // SAFETY: what is below something that was taken off was taken off with it.
                unsafe { self.retire_tables(&entry.load(), lower) };
            }
        }
        // SAFETY: the entry led here, and nobody finds that any more.
        unsafe { self.deallocate_frame(frame) };
    }
}

// SAFETY: a fragment is nobody else's until it is retired.
unsafe impl<E: Embed<Hooks = ZeroedFrames>> FrameAllocator<Size4KiB> for Frames<'_, E> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        Some(self.map.physical(self.mm.alloc().ok()?.into_raw()))
    }
}

impl<E: Embed<Hooks = ZeroedFrames>> FrameDeallocator<Size4KiB> for Frames<'_, E> {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        let at = NonNull::new(self.map.frame_to_pointer(frame)).expect("no frame lies at zero");
        // SAFETY: the caller says that it is unused, and came from here; tables are initialised.
        unsafe { self.mm.retire_raw(at.cast()) };
    }
}
