//! A program's heap with one size class from [ptfrag](ptfrag).
//!
//! Blocks of 129 to 256 bytes are fragments, which every thread takes through a handle of its own; all others are the
//! system's, and so is a block of the class when there is no page for it, and one that has grown into it. What a block is,
//! its address tells. For programs of 64 bits.
//!
//! ```
//! use ptfrag_client_global_alloc::Heap;
//!
//! #[global_allocator]
//! static HEAP: Heap = Heap;
//!
//! let nodes: Vec<_> = (0..1000_u64).map(|node| Box::new([node; 25])).collect();
//! assert!(Heap::pages() >= 1000 / 16);
//! drop(nodes);
//! ```
//!
//! # What an allocator has to mind
//! - *It is entered by itself*: a handle is made of memory, too, and so are the parts that all threads share. A thread that
//!   is inside already finds its handle borrowed, and takes the system's memory. ptfrag's domain takes the system's
//!   anyway.
//! - *It is called when a thread's locals are gone*, by the destructors that run later: blocks are given back without a
//!   handle then.
//! - *It must not unwind*: what would, as the report of a double free does, ends the process.
//! - It keeps thread-locals that have a destructor. With Linux and glibc these are registered without the program's
//!   allocator; a target on which std would come back to it for that is not one for this heap.
//! - *`fork`*: another thread may be in the middle of something. A child allocates no block of the class before it `exec`s.
//! - A thread whose handle finds no 8 KiB ends the process, as std does where there is no memory.
//!
//! A handle holds some blocks back for its thread, as every cache does, and gives all of them back when that ends. Each of
//! them may be what keeps a page.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::RefCell,
    mem, process,
    ptr::{self, NonNull},
    sync::OnceLock,
};

use ptfrag::{Domain, Frag, Hooks, Local, Mm, PageSource, Region, Std};

/// Bytes of a block of the class.
const SIZE: usize = 256;
const PAGE: usize = 16 * SIZE;
/// So much address space is reserved, memory only as it is used: 16 GiB.
const PAGES: usize = (16 << 30) / PAGE;

type Parts = Std<'static, PAGE, Clears>;

/// Programs leave bytes in their blocks that are not initialised, and the page's next owner may read them.
#[derive(Debug)]
struct Clears;

impl Hooks for Clears {
    fn page_out(&self, page: NonNull<u8>) {
        // SAFETY: the page is the hook's while it runs.
        unsafe { page.write_bytes(0, PAGE) };
    }
}

/// What all threads share.
struct Shared {
    region: Region<PAGE>,
    mm: Mm<16, SIZE, Parts>,
}

static SHARED: OnceLock<Option<Shared>> = OnceLock::new();

thread_local! {
    static HANDLE: RefCell<Option<Local<16, SIZE, Parts>>> = const { RefCell::new(None) };
}

/// The heap: see the [crate].
#[derive(Debug)]
pub struct Heap;

impl Heap {
    /// Blocks of the class that a thread's handle holds back at most.
    pub const HOLDS: usize = Local::<16, SIZE, Parts>::HOLDS;

    /// Pages of 4096 bytes that blocks of the class are in now.
    #[must_use]
    pub fn pages() -> usize {
        shared().map_or(0, |shared| shared.mm.pages())
    }

    /// Whether a block is one of the class.
    #[must_use]
    pub fn has(block: NonNull<u8>) -> bool {
        shared().is_some_and(|shared| shared.region.desc(block).is_some())
    }
}

/// What was made for the first block, if the system had room for it.
fn shared() -> Option<&'static Shared> {
    SHARED.get()?.as_ref()
}

fn is_of_the_class(layout: Layout) -> bool {
    (SIZE / 2 + 1..=SIZE).contains(&layout.size()) && layout.align() <= SIZE
}

/// Does something with this thread's handle, which is made now if need be. `None` inside itself, when the thread's locals
/// are gone, and when there is nothing to make one of.
fn with_handle<R>(work: impl FnOnce(&mut Local<16, SIZE, Parts>) -> R) -> Option<R> {
    let with = |handle: &RefCell<Option<_>>| {
        let mut handle = handle.try_borrow_mut().ok()?;
        if handle.is_none() {
            let shared = SHARED.get_or_init(|| {
                let region = Region::with_keep(PAGES, 1024).ok()?;
                let mm = Mm::new_in(Domain::global(), region.clone(), Clears).keeping(16);
                Some(Shared { region, mm })
            });
            *handle = Some(shared.as_ref()?.mm.local());
        }
        handle.as_mut().map(work)
    };
    HANDLE.try_with(with).ok().flatten()
}

/// Ends the process rather than unwind.
fn without_unwinding<R>(work: impl FnOnce() -> R) -> R {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            process::abort();
        }
    }
    let abort = Abort;
    let result = work();
    mem::forget(abort);
    result
}

/// A block of the class, if there is one.
fn take() -> Option<NonNull<u8>> {
    without_unwinding(|| with_handle(|handle| handle.alloc().ok().map(Frag::into_raw)).flatten())
}

/// Gives a block back, if it is one of the class; says whether it was.
///
/// # Safety
/// It was allocated by [`Heap`], and is not used any more.
unsafe fn give_back(block: *mut u8) -> bool {
    let Some(block) = NonNull::new(block).filter(|block| Heap::has(*block)) else { return false };
    let Some(shared) = shared() else { return false };
    without_unwinding(|| {
        // SAFETY: it is of this mm, and the caller's.
        let mut frag = Some(unsafe { shared.mm.from_raw(block) });
        with_handle(|handle| frag.take().map(|frag| handle.give_back(frag)));
        // Without a handle it goes back by itself.
        drop(frag);
    });
    true
}

// SAFETY: a block is a fragment, which is nobody else's until it is given back, and aligned to its size, or the system's. Which
// it is does not depend on the layout, so it goes back to where it came from. Nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_of_the_class(layout).then(take).flatten() {
            Some(block) => block.as_ptr(),
            // SAFETY: passed on to the caller.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        if !unsafe { give_back(block) } {
            // SAFETY: it is the system's, and the rest is passed on to the caller.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_of_the_class(layout).then(take).flatten() {
            Some(block) => {
                // SAFETY: a block of the class has so many bytes.
                unsafe { block.write_bytes(0, SIZE) };
                block.as_ptr()
            }
            // SAFETY: passed on to the caller.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !NonNull::new(block).is_some_and(Self::has) {
            // SAFETY: it is the system's, and the rest is passed on to the caller.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the size fits the alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if is_of_the_class(new_layout) {
            return block;
        }
        // SAFETY: the caller promises that it is not zero.
        let new = unsafe { System.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both have so many bytes, and are different blocks.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
            // SAFETY: it is the caller's, who has the new one now.
            unsafe { give_back(block) };
        }
        new
    }
}
