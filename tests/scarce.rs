//! Programs whose memory all waits for a grace period: none of their allocations fails where callbacks may
//! run between them.
#![cfg(all(unix, feature = "std"))]

use std::collections::VecDeque;

use ptfrag::{AllocError, Mm, OwnedDomain, Region, Std};

/// Keeps so many fragments in use, takes one more and retires the oldest, with a section after each; says
/// how many of the allocations failed.
fn rounds<const N: usize, const SIZE: usize, const PAGE: usize>(
    pages: usize,
    in_use: usize,
    through_a_handle: bool,
) -> usize {
    let domain = OwnedDomain::new();
    let mm = Mm::<N, SIZE, Std<'_, PAGE>>::new(&domain, Region::new(pages).unwrap());
    let mut local = through_a_handle.then(|| mm.local());
    let mut frags = VecDeque::new();
    let mut failed = 0;
    for _ in 0..2000 {
        let frag = match &mut local {
            Some(local) => local.alloc(),
            None => mm.alloc(),
        };
        match frag {
            Ok(frag) => frags.push_back(frag),
            Err(AllocError) => failed += 1,
        }
        if frags.len() > in_use {
            let oldest = frags.pop_front().unwrap();
            match &mut local {
                Some(local) => local.retire(oldest),
                None => oldest.retire(),
            }
        }
        drop(domain.read());
    }
    failed
}

#[test]
fn a_region_of_which_nearly_all_waits() {
    for (pages, in_use) in [(1, 3), (1, 14), (2, 3), (2, 28), (4, 1), (4, 60), (8, 1), (64, 1000)] {
        let bare = rounds::<16, 256, 4096>(pages, in_use, false);
        assert_eq!(bare, 0, "{pages} pages, {in_use} in use");
    }
    for (pages, in_use) in [(2, 1), (4, 1), (4, 6), (64, 120)] {
        assert_eq!(rounds::<2, 2048, 4096>(pages, in_use, false), 0, "{pages} pages, {in_use}");
    }
}

#[test]
fn a_region_of_which_nearly_all_waits_in_a_handle() {
    for (pages, in_use) in [(4, 1), (8, 1), (8, 60), (64, 500)] {
        let failed = rounds::<16, 256, 4096>(pages, in_use, true);
        assert_eq!(failed, 0, "{pages} pages, {in_use} in use");
    }
}

/// With a section open for ever nothing comes back.
#[test]
fn a_section_that_never_ends() {
    let domain = OwnedDomain::new();
    let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(4).unwrap());
    let section = domain.read();
    for _ in 0..64 {
        mm.alloc().unwrap().retire();
        drop(domain.read());
    }
    assert_eq!(mm.alloc().err(), Some(AllocError));
    drop(section);
    assert!(mm.alloc().is_ok());
}

/// What is only ever given back needs nobody who runs callbacks.
#[test]
fn nothing_is_ever_retired() {
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(4).unwrap();
    let mm = Mm::<16, 256, _>::new(&domain, region.clone());
    for _ in 0..100_000 {
        drop(mm.alloc().unwrap());
    }
    assert_eq!(region.pages_out(), 0);
}
