//! Tables for the crate `page_table_multiarch`: 4 KiB each, 16 to a page of 64 KiB, which go back after an RCU grace period.
//! So whoever walks a tree in software, under a guard, may go on in it while it is dropped.
//!
//! The crate asks a type for its frames, not a value ([`PagingHandler`] has no `self`). So the mm is found by a type as well:
//! one says once, in an implementation of [`Tables`], where it is, and has [`Handler`] of that for all page tables.
//!
//! ```
//! # #[cfg(target_arch = "x86_64")] {
//! use std::sync::LazyLock;
//!
//! use memory_addr::{PhysAddr, VirtAddr};
//! use page_table_multiarch::{MappingFlags, PageSize, x86_64::X64PageTable};
//! use ptfrag::{Domain, Mm, Region, Std};
//! use ptfrag_client_page_table_multiarch::{Handler, TableMm, Tables};
//!
//! struct Kernel;
//!
//! // SAFETY: always the same mm; physical addresses are addresses of this process, of which zero is none; page tables alone
//! // use the handler.
//! unsafe impl Tables for Kernel {
//!     type Parts = Std<'static, 65536>;
//!
//!     fn mm() -> &'static TableMm<Self::Parts> {
//!         static MM: LazyLock<TableMm<Std<'static, 65536>>> =
//!             LazyLock::new(|| Mm::new(Domain::global(), Region::new(100).expect("room for 1600 tables")));
//!         &MM
//!     }
//! }
//!
//! let domain = Domain::global();
//! let mut table = X64PageTable::<Handler<Kernel>>::try_new().expect("a page");
//! let (at, to) = (VirtAddr::from(0x1234_5000), PhysAddr::from(0x7000));
//! let flags = MappingFlags::READ | MappingFlags::WRITE;
//! table.cursor().map(at, to, PageSize::Size4K, flags).expect("not mapped yet");
//! assert_eq!(table.query(at), Ok((to, flags, PageSize::Size4K)));
//! assert_eq!(Kernel::mm().pages(), 1); // four tables, of 16
//!
//! let guard = domain.read();
//! drop(table); // what a walker has found before stays as it is until `guard` is gone
//! drop(guard);
//! domain.barrier();
//! assert_eq!(Kernel::mm().pages(), 0);
//! # }
//! ```
//!
//! # What is promised
//! - A frame is aligned and nobody else's. What its last user has left is in it: the crate clears a table before it links it.
//! - A frame that is deallocated is retired: its bytes stay as they are until every guard that there is now has been dropped.
//!   That never fails, allocates or waits, on any thread.
//! - What the source does not have is `None`, which the crate passes on as `PagingError::NoMemory`. The tables linked until
//!   then go with their page table.
//! - One frame at a time. The crate asks for neighbours only for the root of ARMv7-A's tables, 16 KiB: that is `None` here,
//!   as is a greater alignment than a frame's.
//! - A second deallocation, or that of a frame that is not from here, is a panic, as far as `ptfrag` can tell.
//!
//! # The crate's stores, and walkers
//! It reads and writes entries as plain memory, through references. In Rust a plain store while another thread loads the same
//! entry is undefined behaviour, be the load atomic or volatile. So a tree with walkers in other threads is not changed: it
//! is built, then published by an atomic store of its root's address, and replaced by another one. *The drop of a page table
//! only reads*, so walkers may be there still; frames that it frees wait for their guards. `map`, `unmap` and the others
//! write.
//!
//! Tables below the root are freed in two places: by the drop of a page table, and (feature `copy-from` of the crate) when
//! `copy_from` replaces an entry of the root. The latter frees **before** the cursor flushes the TLB, so a processor may
//! still walk what is freed. Whoever has a guard open from before the cursor is made until all processors have flushed mends that:
//! the frames cannot be handed out again earlier. A dropped page table is not flushed at all: load another root before, and flush.
//!
//! Elsewhere than in a kernel (`target_os = "none"`) the crate's cursors execute no flush, which user space would not be allowed.
//!
//! # What it costs
//! `ptfrag`'s allocation and retirement, and a call of [`Tables::mm`] for each. The frames are not cleared a second time.
//! 40 to 64 bytes of metadata for 16 frames.
//!
//! # Formats
//! The crate has the format of the processor that it is compiled for. The tests run that, and everywhere the layouts of
//! AArch64 and RISC-V in entries of their own. They run on other processors' in an emulator:
//!
//! ```sh
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64
//! cargo test --tests -p ptfrag-client-page-table-multiarch --target aarch64-unknown-linux-musl
//! ```
#![no_std]

use core::{marker::PhantomData, ptr::NonNull};

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::PagingHandler;
use ptfrag::{Embed, Mm};

/// Bytes of a frame.
pub const FRAME: usize = 4096;
/// Frames of a page, which has 64 KiB.
pub const FRAGS: usize = 16;

/// The mm of frames.
pub type TableMm<E> = Mm<FRAGS, FRAME, E>;

/// Where page tables come from.
///
/// # Safety
/// - [`mm`](Self::mm) gives the same mm each time, on every thread.
/// - The memory of its source lies at physical addresses that are [`OFFSET`](Self::OFFSET) less than those at which it is
///   used, all of them within what the tables' format has room for, and **none of them zero**, which the crate takes for no
///   table.
/// - Nobody but page tables of that crate calls what [`Handler`] of this type implements. (It can free tables that are in
///   use, which the crate does not say to be unsafe.)
pub unsafe trait Tables: 'static {
    /// The parts of the mm.
    type Parts: Embed;

    /// From physical addresses to those at which memory is used; zero where the two are the same.
    const OFFSET: usize = 0;

    /// The mm.
    fn mm() -> &'static TableMm<Self::Parts>;
}

/// Has page tables made of frames from `T`'s mm.
#[derive(Debug)]
pub struct Handler<T>(PhantomData<fn() -> T>);

impl<T: Tables> PagingHandler for Handler<T> {
    fn alloc_frames(num: usize, align: usize) -> Option<PhysAddr> {
        if num != 1 || align > FRAME {
            return None;
        }
        // The crate comes to its tables by their physical addresses: pointers are made of those again.
        let at = T::mm().alloc().ok()?.into_raw().as_ptr().expose_provenance();
        Some(PhysAddr::from(at.wrapping_sub(T::OFFSET)))
    }

    fn dealloc_frames(paddr: PhysAddr, num: usize) {
        assert_eq!(num, 1, "frames are handed out one at a time");
        let frame = Self::phys_to_virt(paddr).as_mut_ptr();
        let frame = NonNull::new(frame).expect("no frame lies at zero");
        // SAFETY: page tables alone call this, with what they own and nobody finds any more; they have initialised it.
        unsafe { T::mm().retire_raw(frame) };
    }

    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        VirtAddr::from(paddr.as_usize().wrapping_add(T::OFFSET))
    }
}
