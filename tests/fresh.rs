//! Threads that want a page at the same time.
#![cfg(all(unix, feature = "std"))]

use std::{sync::Barrier, thread};

use ptfrag::{Mm, OwnedDomain, Region};

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

/// Sixteen threads that find nothing at once draw a page, or two.
#[test]
fn a_crowd_draws_few_pages() {
    let domain = OwnedDomain::new();
    let barrier = Barrier::new(16);
    let mut most = 0;
    for _ in 0..100 {
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
        most = most.max(region.pages_taken());
    }
    assert!(most <= 2, "{most} pages");
}
