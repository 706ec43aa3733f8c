//! The crate embedded in a program without `std` and without an allocator: one page, RCU of a
//! single thread, an mm whose head and a handle whose part lie on the stack. Exit code 0: the page
//! came home.
#![no_std]
#![no_main]

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    panic::PanicInfo,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
};

use ptfrag::{
    AllocError, Embed, LocalPart, Mm, MmHead, PageDesc, PageSource, Rcu, RcuFn, RcuHead, SpinLock,
};

#[repr(align(4096))]
struct Page(UnsafeCell<[u8; 4096]>);
// SAFETY: the memory belongs to whoever owns its fragments.
unsafe impl Sync for Page {}

static PAGE: Page = Page(UnsafeCell::new([0; 4096]));
static DESC: PageDesc = PageDesc::new();
static OUT: AtomicBool = AtomicBool::new(false);

/// A source of one page.
struct One;

// SAFETY: one page, handed out to one at a time; Acquire and Release order its users.
unsafe impl PageSource for One {
    const PAGE_SIZE: usize = 4096;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        if OUT.swap(true, Ordering::Acquire) { Err(AllocError) } else { Ok(NonNull::from(&DESC)) }
    }

    unsafe fn put(&self, _: NonNull<PageDesc>) {
        OUT.store(false, Ordering::Release);
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        let base = PAGE.0.get().addr();
        (base..base + 4096).contains(&addr.addr().get()).then(|| NonNull::from(&DESC))
    }

    unsafe fn addr(&self, _: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: a static is not at null.
        unsafe { NonNull::new_unchecked(PAGE.0.get().cast()) }
    }
}

/// A stack.
static QUEUED: AtomicPtr<RcuHead> = AtomicPtr::new(core::ptr::null_mut());

/// RCU of one thread without readers: callbacks run when it says so.
#[derive(Clone, Copy)]
struct Alone;

// SAFETY: nobody reads, and callbacks run outside of everything, in `main`.
unsafe impl Rcu for Alone {
    type Guard = ();

    fn read(self) {}

    fn covers(self, (): &()) -> bool {
        true
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: the caller hands the head over.
        let head = unsafe { head.as_ref() };
        // SAFETY: as above.
        unsafe { head.set_func(func) };
        // SAFETY: as above.
        unsafe { head.set_next(QUEUED.load(Ordering::Relaxed)) };
        QUEUED.store(core::ptr::from_ref(head).cast_mut(), Ordering::Relaxed);
    }
}

struct Bare;

impl Embed for Bare {
    type Rcu = Alone;
    type Source = One;
    type Lock = SpinLock;
    type Hooks = ();
}

fn run() -> Option<()> {
    let mut place = MaybeUninit::<MmHead<4, 1024, Bare>>::uninit();
    // SAFETY: the place outlives the mm, whose pages are home before this returns.
    let mm = unsafe { Mm::new_at(NonNull::from(&mut place), |_| (), Alone, One, ()) };
    let frag = mm.alloc().ok()?;
    frag.retire();
    let mut part = MaybeUninit::<LocalPart<4, 1024, Bare>>::uninit();
    // SAFETY: as above, and a page that is home has no handle's fragments on it.
    let mut local = unsafe { mm.local_at(NonNull::from(&mut part), |_| ()) };
    let frag = local.alloc().ok()?;
    local.retire(frag);
    drop((local, mm));
    while let Some(head) = NonNull::new(QUEUED.load(Ordering::Relaxed)) {
        // SAFETY: a queued head is valid.
        let queued = unsafe { head.as_ref() };
        // SAFETY: the queue is ours.
        QUEUED.store(unsafe { queued.next() }, Ordering::Relaxed);
        // SAFETY: as above.
        let func = unsafe { queued.func() }?;
        // SAFETY: nobody reads, so a grace period is over.
        unsafe { func(head) };
    }
    (!OUT.load(Ordering::Relaxed)).then_some(())
}

/// The C library calls it; its `memcpy` is all that is used of that library.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    if run().is_some() { 0 } else { 1 }
}

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it takes nothing.
    unsafe { abort() }
}

/// `core` was built to unwind and names it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
