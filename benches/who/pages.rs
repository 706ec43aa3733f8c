//! Where the kernels' policies have their pages from. A page has an RCU head of its own, for those
//! that let it wait for a grace period as a whole.

use std::{
    ptr::NonNull,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, PageSource, Rcu, RcuHead, Region};

use crate::allocator::{Block, Holding};

/// Locks a mutex that no panic has poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Address space enough for whatever piles up.
pub const PAGES: usize = 1 << 17;

/// A page with its own RCU head.
#[repr(C)]
#[derive(Debug)]
pub struct Page<const PAGE: usize> {
    head: RcuHead,
    /// The policy's.
    pub state: AtomicU32,
    /// Where the policy lists the page, if it does.
    pub place: AtomicU32,
    base: NonNull<u8>,
    home: NonNull<Pages<PAGE>>,
}

/// Where pages come from and go to: a stack under a mutex, which never gets smaller, over ptfrag's
/// region.
///
/// # Invariants
/// `all` keeps every page that was ever made, so that descriptors stay.
#[derive(Debug)]
pub struct Pages<const PAGE: usize> {
    region: Region<PAGE>,
    free: Mutex<Vec<NonNull<Page<PAGE>>>>,
    #[expect(clippy::vec_box, reason = "pages stay where they are when there are more")]
    all: Mutex<Vec<Box<Page<PAGE>>>>,
    out: AtomicUsize,
    calls: AtomicUsize,
}

// SAFETY: the pointers are to the pages in `all`, which may be shared.
unsafe impl<const PAGE: usize> Send for Pages<PAGE> {}
// SAFETY: as above.
unsafe impl<const PAGE: usize> Sync for Pages<PAGE> {}

impl<const PAGE: usize> Pages<PAGE> {
    /// A source without pages.
    ///
    /// # Panics
    /// When there is no address space.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Self {
            region: Region::new(PAGES).expect("address space for the pages"),
            free: Mutex::default(),
            all: Mutex::default(),
            out: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        })
    }

    /// A page.
    ///
    /// # Panics
    /// When all are waiting.
    pub fn get(&self) -> NonNull<Page<PAGE>> {
        self.out.fetch_add(1, Ordering::Relaxed);
        if let Some(page) = lock(&self.free).pop() {
            return page;
        }
        let desc = self.region.get().expect("pages enough for all that waits");
        // SAFETY: the page is from this region.
        let base = unsafe { self.region.addr(desc) };
        let (head, home) = (RcuHead::new(), NonNull::from(self));
        let [state, place] = [0, 0].map(AtomicU32::new);
        let mut page = Box::new(Page { head, state, place, base, home });
        let address = NonNull::from(&mut *page);
        lock(&self.all).push(page);
        address
    }

    /// Sends a page home.
    ///
    /// # Safety
    /// The page is from this source, out, and its fragments are all the caller's, whose grace
    /// periods are over.
    pub unsafe fn put(&self, page: NonNull<Page<PAGE>>) {
        lock(&self.free).push(page);
        self.out.fetch_sub(1, Ordering::Release);
    }

    /// Sends a page home after a grace period.
    ///
    /// # Safety
    /// The page is from this source, out, and its fragments are all the caller's.
    pub unsafe fn retire(&self, domain: &'static Domain, page: NonNull<Page<PAGE>>) {
        unsafe extern "C" fn home<const PAGE: usize>(head: NonNull<RcuHead>) {
            let page: NonNull<Page<PAGE>> = head.cast();
            // SAFETY: the head is a page's first field.
            let home = unsafe { page.as_ref() }.home;
            // SAFETY: the source waits for its pages.
            let home = unsafe { home.as_ref() };
            home.calls.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: passed on to the caller of `retire`.
            unsafe { home.put(page) };
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the page has one owner, whose head is idle, and the source outlives the call.
        unsafe { domain.call(page.cast(), home::<PAGE>) };
    }

    /// Pages that are out or wait.
    pub fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }

    /// Pages that wait for a grace period.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// What the pages hold.
    pub fn holding(&self) -> Holding {
        Holding { bytes: self.out() * PAGE, heap: 0, beside: 0 }
    }

    /// Waits until all pages are home.
    pub fn quiesce(&self, domain: &Domain) {
        while self.out() != 0 {
            domain.barrier();
        }
    }
}

impl<const PAGE: usize> Page<PAGE> {
    /// Its first byte.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }
}

/// A fragment of a page.
#[derive(Debug)]
pub struct Fragment<const PAGE: usize> {
    /// Its first byte.
    pub addr: NonNull<u8>,
    /// The page that it is of.
    pub page: NonNull<Page<PAGE>>,
}

// SAFETY: the fragment is its owner's, and pages may be shared.
unsafe impl<const PAGE: usize> Send for Fragment<PAGE> {}

impl<const PAGE: usize> Block for Fragment<PAGE> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.addr.as_ptr()
    }
}
