//! Threads that want a page at the same time.
#![cfg(all(unix, feature = "std"))]

use std::{
    ptr::NonNull,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{AllocError, Domain, Embed, Mm, OwnedDomain, PageDesc, PageSource, Region, SpinLock};

/// Two threads share the one page that there is; each finds what it needs, though the other may be about
/// to list it.
#[test]
fn a_page_that_is_on_its_way() {
    let domain = OwnedDomain::new();
    let barrier = Barrier::new(2);
    let region = Region::<4096>::new(1).unwrap();
    for _ in 0..2000 {
        let mm = Mm::<16, 256, _>::new(&domain, region.clone());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    let frags: Result<Vec<_>, _> = (0..8).map(|_| mm.alloc()).collect();
                    barrier.wait();
                    assert!(frags.is_ok());
                });
            }
        });
        drop(mm);
        while region.pages_out() != 0 {
            domain.barrier();
        }
    }
}

/// Sixteen threads that find nothing at once draw a page, or two; unless two that fetch one are both kept
/// from their processors for long, which the other rounds are for.
#[test]
fn a_crowd_draws_few_pages() {
    let domain = OwnedDomain::new();
    let barrier = Barrier::new(16);
    let mut drawn = [0; 101];
    for drawn in &mut drawn {
        let region = Region::<4096>::new(100).unwrap();
        let mm = Mm::<16, 256, _>::new(&domain, region.clone());
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    barrier.wait();
                    let frag = mm.alloc();
                    barrier.wait();
                    drop(frag);
                });
            }
        });
        *drawn = region.pages_taken();
    }
    drawn.sort_unstable();
    assert!(drawn[50] <= 2, "{drawn:?} pages");
}

/// The first who ask are stopped on the way, until they are let go.
#[derive(Clone)]
struct Stopping {
    region: Region<4096>,
    /// How many are stopped.
    stopped: usize,
    /// Whether they have their page by then, and who finds none lets them go.
    with_page: bool,
    asked: Arc<AtomicUsize>,
    let_go: Arc<AtomicBool>,
}

// SAFETY: the region does it all.
unsafe impl PageSource for Stopping {
    const PAGE_SIZE: usize = 4096;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let early = self.with_page.then(|| self.region.get());
        if early == Some(Err(AllocError)) {
            self.let_go.store(true, Ordering::SeqCst);
        } else if self.asked.fetch_add(1, Ordering::SeqCst) < self.stopped {
            while !self.let_go.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        early.unwrap_or_else(|| self.region.get())
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        // SAFETY: passed on to the caller.
        unsafe { self.region.put(page) };
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.region.desc(addr)
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: passed on to the caller.
        unsafe { self.region.addr(page) }
    }
}

struct Parts;

impl Embed for Parts {
    type Rcu = &'static Domain;
    type Source = Stopping;
    type Lock = SpinLock;
    type Hooks = ();
}

fn stopping(pages: usize, stopped: usize, with_page: bool) -> Stopping {
    Stopping {
        region: Region::new(pages).unwrap(),
        stopped,
        with_page,
        asked: Arc::new(AtomicUsize::new(0)),
        let_go: Arc::new(AtomicBool::new(false)),
    }
}

/// The only page is with somebody who has not listed it yet; who finds none at the source waits for it.
#[test]
fn the_last_page_is_on_its_way() {
    let source = stopping(1, 1, true);
    let mm = Mm::<16, 256, Parts>::new_in(Domain::global(), source.clone(), ());
    thread::scope(|scope| {
        let first = scope.spawn(|| mm.alloc());
        while source.asked.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let second = mm.alloc();
        assert!(source.let_go.load(Ordering::SeqCst), "the source was not asked");
        assert!(second.is_ok() && first.join().unwrap().is_ok());
    });
}

/// Nobody waits for ever for those who fetch a page.
#[test]
fn fetchers_that_are_stopped_hold_nobody_up() {
    let source = stopping(8, 2, false);
    let mm = Mm::<16, 256, Parts>::new_in(Domain::global(), source.clone(), ());
    thread::scope(|scope| {
        for stopped in 1..=2 {
            scope.spawn(|| drop(mm.alloc().unwrap()));
            while source.asked.load(Ordering::SeqCst) < stopped {
                thread::yield_now();
            }
        }
        let frags = [(); 40].map(|()| mm.alloc().unwrap());
        assert_eq!(source.region.pages_out(), 3);
        source.let_go.store(true, Ordering::SeqCst);
        drop(frags);
    });
    assert_eq!(source.asked.load(Ordering::SeqCst), 5);
}
