//! The page source's contract.

use core::ptr::NonNull;
use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    thread,
    vec::Vec,
};

use crate::{embed::PageSource, page::PageDesc, sync::Ordering};

/// A page that is out.
#[derive(Clone, Copy)]
struct Out {
    page: NonNull<PageDesc>,
    addr: NonNull<u8>,
}

// SAFETY: a page is its owner's, whichever thread that is on.
unsafe impl Send for Out {}

impl Out {
    fn desc(&self) -> &PageDesc {
        // SAFETY: a descriptor stays one as long as its source lives.
        unsafe { self.page.as_ref() }
    }

    /// A note such as mms leave in descriptors: who has shown the page, and until when.
    fn note(&self) -> (*const (), u64) {
        (PageDesc::OTHERS, self.addr.addr().get() as u64 | 1)
    }

    fn leave_note(&self, (mm, ticket): (*const (), u64)) {
        // SAFETY: nobody else uses the source meanwhile, and the field is not the source's.
        unsafe { self.desc().set_mm(mm) };
        self.desc().ticket.store(ticket, Ordering::Relaxed);
    }

    fn has_note(&self) -> bool {
        (self.desc().look_at_mm(), self.desc().ticket.load(Ordering::Relaxed)) == self.note()
    }
}

/// Checks a [`PageSource`], which nobody else uses meanwhile, with up to `most` pages at a time (eight at least): that pages are aligned,
/// whole and nobody else's, that addresses and descriptors lead to each other, that descriptors stay what they are, and that
/// pages come out again after they were put back, whatever the order and the thread.
///
/// # Panics
/// When it is not so, or the source has no page.
pub fn page_source<S: PageSource>(source: &S, most: usize) {
    assert!(S::PAGE_SIZE.is_power_of_two(), "PAGE_SIZE is not a power of two");
    assert!(most > 0, "nothing can be checked without a page");
    let local = 0_u8;
    assert_eq!(source.desc(NonNull::from(&local)), None, "desc knows a page that is not its own");

    let mut first = Vec::new();
    let mut noted = HashMap::new();
    for round in 0..3 {
        let mut pages = take(source, most);
        assert!(!pages.is_empty(), "the source has no page, though all of its pages are home");
        for out in &pages {
            let known = noted.insert(out.page, *out).is_none() || out.has_note();
            assert!(known, "the source has written to a descriptor, and not only to its link");
            out.leave_note(out.note());
        }
        check_all(source, &pages);
        let round_trip = pages.len();
        if round == 0 {
            first.clone_from(&pages);
        }
        match round {
            0 => {}
            1 => pages.reverse(),
            _ => {
                let half = pages.len() / 2;
                pages.rotate_left(half);
            }
        }
        pages.into_iter().for_each(|out| put(source, out));
        assert!(take_back(source, most) >= round_trip, "pages that were put back do not come out");
    }
    noted.into_values().for_each(|out| out.leave_note((core::ptr::null(), 0)));
    for Out { page, addr } in first {
        // SAFETY: descriptors are type-stable, or the source is wrong.
        let word = unsafe { page.as_ref() }.word.load(Ordering::Relaxed);
        assert_eq!(word, 0, "the word of a page at home was written");
        assert_eq!(source.desc(addr), Some(page), "a page at home has another descriptor now");
    }
    on_threads(source, most);
}

fn take<S: PageSource>(source: &S, most: usize) -> Vec<Out> {
    let mut pages = Vec::new();
    while pages.len() < most {
        let Ok(page) = source.get() else { break };
        // SAFETY: just got.
        let addr = unsafe { source.addr(page) };
        pages.push(Out { page, addr });
    }
    pages
}

/// How many there are; all of them go back.
fn take_back<S: PageSource>(source: &S, most: usize) -> usize {
    let pages = take(source, most);
    let count = pages.len();
    pages.into_iter().for_each(|out| put(source, out));
    count
}

fn put<S: PageSource>(source: &S, out: Out) {
    // SAFETY: it was got, and is put back once.
    unsafe { source.put(out.page) };
}

fn check_all<S: PageSource>(source: &S, pages: &[Out]) {
    let mut places = HashSet::new();
    for &Out { page, addr } in pages {
        assert_eq!(addr.addr().get() % S::PAGE_SIZE, 0, "a page is not aligned to its size");
        assert!(places.insert(addr), "two pages lie at the same place, or one is out twice");
        for offset in [0, 1, S::PAGE_SIZE / 2, S::PAGE_SIZE - 1] {
            let inside = addr.map_addr(|addr| addr.saturating_add(offset));
            assert_eq!(
                source.desc(inside),
                Some(page),
                "desc does not know the page of an address"
            );
        }
        // SAFETY: a descriptor stays one as long as its source lives.
        let word = unsafe { page.as_ref() }.word.load(Ordering::Relaxed);
        assert_eq!(word, 0, "the word of a page is not zero when it comes out");
        let bytes = NonNull::slice_from_raw_parts(addr, S::PAGE_SIZE);
        // SAFETY: just got, not written, and ours.
        if unsafe { source.is_zeroed(page) } {
            // SAFETY: the page is ours, and initialised.
            let zero = unsafe { bytes.as_ref() }.iter().all(|byte| *byte == 0);
            assert!(zero, "is_zeroed says so of a page that is not");
        }
    }
    let mark = |number: usize| (number % 251) as u8 + 1;
    for (number, out) in pages.iter().enumerate() {
        // SAFETY: the page is ours.
        unsafe { out.addr.write_bytes(mark(number), S::PAGE_SIZE) };
    }
    for (number, out) in pages.iter().enumerate() {
        let bytes = NonNull::slice_from_raw_parts(out.addr, S::PAGE_SIZE);
        // SAFETY: as above, and written.
        let kept = unsafe { bytes.as_ref() }.iter().all(|byte| *byte == mark(number));
        assert!(
            kept,
            "a page's bytes changed: it overlaps with another, or is somebody else's too"
        );
    }
}

/// Several threads get and put, and pass pages on.
fn on_threads<S: PageSource>(source: &S, most: usize) {
    let passed = Mutex::new(Vec::<Out>::new());
    let out = Mutex::new(HashSet::new());
    let locked = "no thread panics with it";
    thread::scope(|scope| {
        for number in 0..4_usize {
            let (passed, out) = (&passed, &out);
            scope.spawn(move || {
                for round in 0..500 {
                    for got in take(source, (most / 8).clamp(1, 4)) {
                        let new = out.lock().expect(locked).insert(got.addr.addr());
                        assert!(new, "two threads got the same page");
                        // SAFETY: the page is ours.
                        unsafe { got.addr.write_bytes(number as u8, S::PAGE_SIZE) };
                        passed.lock().expect(locked).push(got);
                    }
                    let keep = if round % 7 == 0 { 0 } else { most / 2 };
                    let back = {
                        let mut passed = passed.lock().expect(locked);
                        let from = passed.len().min(keep);
                        passed.split_off(from)
                    };
                    for one in back {
                        out.lock().expect(locked).remove(&one.addr.addr());
                        put(source, one);
                    }
                }
            });
        }
    });
    passed.into_inner().expect(locked).into_iter().for_each(|one| put(source, one));
}
