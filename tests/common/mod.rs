//! An embedder whose grace periods pass when the test says so, and whose hooks keep a ledger.
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod counted;

use std::{
    cell::Cell,
    collections::BTreeMap,
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::{AllocError, Embed, Frag, Hooks, Mm, Rcu, RcuFn, RcuHead, Region, SpinLock};

/// RCU by hand: [`grace_period`](Self::grace_period) runs what was queued before it.
#[derive(Clone, Copy)]
pub struct Manual(&'static State);

struct State {
    queue: Mutex<Queue>,
    sections: AtomicUsize,
}

struct Queue {
    first: *mut RcuHead,
    calls: usize,
}

// SAFETY: the heads are the queue's.
unsafe impl Send for Queue {}

pub struct ManualGuard(&'static State, PhantomData<*const ()>);

impl Drop for ManualGuard {
    fn drop(&mut self) {
        self.0.sections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Manual {
    pub fn new() -> Self {
        let queue = Mutex::new(Queue { first: ptr::null_mut(), calls: 0 });
        Self(Box::leak(Box::new(State { queue, sections: AtomicUsize::new(0) })))
    }

    /// Lets a grace period pass, which must not have to wait; returns how many callbacks ran.
    pub fn grace_period(self) -> usize {
        assert_eq!(self.0.sections.load(Ordering::SeqCst), 0, "a section is open");
        let mut first = std::mem::replace(&mut self.0.queue.lock().unwrap().first, ptr::null_mut());
        let mut ran = 0;
        while let Some(head) = NonNull::new(first) {
            // SAFETY: a queued head is valid.
            let queued = unsafe { head.as_ref() };
            // SAFETY: the queue owns it.
            first = unsafe { queued.next() };
            // SAFETY: the queue owns it.
            let func = unsafe { queued.func() }.expect("queued with a function");
            // SAFETY: no section is open, so a grace period is over.
            unsafe { func(head) };
            ran += 1;
        }
        ran
    }

    /// Lets grace periods pass until nothing is queued.
    pub fn run_down(self) {
        while self.grace_period() != 0 {}
    }

    /// Calls so far.
    pub fn calls(self) -> usize {
        self.0.queue.lock().unwrap().calls
    }
}

// SAFETY: heads wait until the test lets a grace period pass, which asserts that nobody reads.
unsafe impl Rcu for Manual {
    type Guard = ManualGuard;

    fn read(self) -> ManualGuard {
        self.0.sections.fetch_add(1, Ordering::SeqCst);
        ManualGuard(self.0, PhantomData)
    }

    fn covers(self, guard: &ManualGuard) -> bool {
        ptr::eq(self.0, guard.0)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        let mut queue = self.0.queue.lock().unwrap();
        // SAFETY: the caller hands the head over.
        let idle = unsafe { head.as_ref() };
        // SAFETY: it is ours now.
        unsafe { idle.set_func(func) };
        // SAFETY: it is ours now.
        unsafe { idle.set_next(queue.first) };
        queue.first = head.as_ptr();
        queue.calls += 1;
    }
}

/// What the hooks saw.
#[derive(Default)]
pub struct Ledger {
    pub reclaimed: Mutex<BTreeMap<usize, usize>>,
    pub pages_in: AtomicUsize,
    pub pages_out: AtomicUsize,
    pub refuse: Mutex<bool>,
}

impl Ledger {
    /// How often the hook ran for this fragment.
    pub fn reclaimed(&self, frag: NonNull<u8>) -> usize {
        self.reclaimed.lock().unwrap().get(&frag.addr().get()).copied().unwrap_or(0)
    }
}

#[derive(Clone, Default)]
pub struct Book(pub Arc<Ledger>);

impl Hooks for Book {
    fn page_in(&self, _: NonNull<u8>) -> Result<(), AllocError> {
        if *self.0.refuse.lock().unwrap() {
            return Err(AllocError);
        }
        self.0.pages_in.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn page_out(&self, _: NonNull<u8>) {
        self.0.pages_out.fetch_add(1, Ordering::SeqCst);
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        *self.0.reclaimed.lock().unwrap().entry(frag.addr().get()).or_default() += 1;
    }
}

/// Its parts, with hooks `H`.
pub struct ByHand<const PAGE: usize, H = Book>(PhantomData<H>);

impl<const PAGE: usize, H: Hooks> Embed for ByHand<PAGE, H> {
    type Rcu = Manual;
    type Source = Region<PAGE>;
    type Lock = SpinLock;
    type Hooks = H;
}

pub type Piece<const N: usize, const SIZE: usize, const PAGE: usize> = Frag<N, SIZE, ByHand<PAGE>>;

/// An mm of one geometry with everything around it.
pub struct Bench<const N: usize, const SIZE: usize, const PAGE: usize> {
    pub rcu: Manual,
    pub region: Region<PAGE>,
    pub book: Book,
    pub mm: Option<Mm<N, SIZE, ByHand<PAGE>>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Bench<N, SIZE, PAGE> {
    pub fn new(pages: usize) -> Self {
        let (rcu, region, book) = (Manual::new(), Region::new(pages).unwrap(), Book::default());
        let mm = Some(Mm::new_in(rcu, region.clone(), book.clone()));
        Self { rcu, region, book, mm }
    }

    pub fn mm(&self) -> &Mm<N, SIZE, ByHand<PAGE>> {
        self.mm.as_ref().expect("not dropped yet")
    }

    pub fn take(&self, count: usize) -> Vec<Piece<N, SIZE, PAGE>> {
        (0..count).map(|_| self.mm().alloc().unwrap()).collect()
    }

    /// Runs the grace periods down and checks that every page is home and every hook was paired.
    pub fn expect_home(&self) {
        self.rcu.run_down();
        assert_eq!(self.region.pages_out(), 0);
        let [taken, back] = [&self.book.0.pages_in, &self.book.0.pages_out];
        assert_eq!(taken.load(Ordering::SeqCst), back.load(Ordering::SeqCst));
    }
}

/// A small generator of repeatable choices (xorshift64*, Vigna 2016).
pub struct Dice(Cell<u64>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    pub fn below(&self, n: usize) -> usize {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}
