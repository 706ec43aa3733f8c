//! The contract of a page source, on whole and ragged ranges of pages.

mod common;

use axallocator::PageAllocator;
use common::{Kernel, THEIRS};
use ptfrag::{NumberedSource, PageSource, check};
use ptfrag_client_axallocator::{Global, SharedPages};

#[test]
fn pages_of_many() {
    static KERNEL: Kernel = Kernel::new();
    check::page_source(&KERNEL.source::<65536>(0, 64 * 16), 64);
    assert_eq!(KERNEL.used(), 0);
    let all = KERNEL.with(|pages| pages.alloc_pages(64 * 16, THEIRS));
    assert!(all.is_ok(), "pages are not side by side any more");
}

#[test]
fn pages_of_one() {
    static KERNEL: Kernel = Kernel::new();
    check::page_source(&KERNEL.source::<THEIRS>(3, 100), 100);
    assert_eq!(KERNEL.used(), 0);
}

#[test]
fn memory_that_begins_and_ends_inside_a_page() {
    static KERNEL: Kernel = Kernel::new();
    let pages = KERNEL.source::<65536>(3, 5 * 16);
    check::page_source(&pages, 100);
    let whole: Vec<_> = std::iter::from_fn(|| pages.get().ok()).collect();
    assert_eq!(whole.len(), 4, "13 pages, four of ours, three pages");
    let mut numbers: Vec<_> = whole.iter().map(|page| pages.number(*page)).collect();
    numbers.sort_unstable();
    assert_eq!((numbers, pages.count()), (vec![1, 2, 3, 4], 5));
    assert_eq!(KERNEL.used(), 4 * 16);
    for page in whole {
        // SAFETY: got just now.
        unsafe { pages.put(page) };
    }
    assert_eq!(KERNEL.used(), 0);
}

#[test]
fn beside_pages_of_others() {
    static KERNEL: Kernel = Kernel::new();
    let pages = KERNEL.source::<16384>(0, 256);
    let others: Vec<_> =
        (0..64).map(|_| KERNEL.with(|pages| pages.alloc_pages(1, THEIRS))).collect();
    // Of every other place for a page one of theirs is missing.
    let mut missing = 0;
    for at in others.into_iter().map(|at| at.expect("there are 256")) {
        match at / THEIRS % 8 {
            0 => missing += 1,
            _ => KERNEL.with(|pages| pages.dealloc_pages(at, 1)),
        }
    }
    check::page_source(&pages, 256);
    assert_eq!(KERNEL.used(), missing);
}

#[test]
fn pages_are_scarce_before_there_are_none() {
    static KERNEL: Kernel = Kernel::new();
    let pages = KERNEL.source::<THEIRS>(0, 160);
    let out: Vec<_> = (0..150).map(|_| pages.get().expect("there are 160")).collect();
    assert!(pages.is_scarce());
    for page in out {
        // SAFETY: got just now.
        unsafe { pages.put(page) };
    }
    assert!(!pages.is_scarce());
}

#[test]
#[should_panic(expected = "has a descriptor")]
fn too_few_descriptors() {
    static KERNEL: Kernel = Kernel::new();
    let pages = KERNEL.source::<65536>(0, 16);
    let page = pages.get().expect("the first one");
    // SAFETY: just got.
    let start = unsafe { pages.addr(page) };
    // SAFETY: it panics.
    let _ = unsafe { SharedPages::<65536, _>::new(&KERNEL, start, 65536, &mut []) };
}
