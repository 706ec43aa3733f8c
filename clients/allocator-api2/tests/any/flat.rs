//! However often it is done, it takes no more pages.

use ptfrag_client_allocator_api2::{Fragments, Handle, InFragments};

use super::parts::{Source, small};
use crate::api::{boxed::Box, vec::Vec};

/// Fragments that one round has in use at the most.
const USES: usize = 100;

/// Makes and drops boxes and vectors in an order that leaves holes; answers with the most pages that were out.
fn round<F: Fragments + Clone>(alloc: &InFragments<F>, source: &Source) -> usize {
    let mut most = 0;
    let mut boxes: std::vec::Vec<_> =
        (0..USES / 2).map(|number| Box::new_in([number; 4], alloc.clone())).collect();
    let mut vecs: std::vec::Vec<_> = (0..USES / 2)
        .map(|number| {
            let mut vec = Vec::new_in(alloc.clone());
            vec.extend(number..number + 20);
            most = most.max(source.pages_out());
            vec
        })
        .collect();
    for at in (0..USES / 2).rev().step_by(3) {
        drop((boxes.swap_remove(at), vecs.swap_remove(at)));
        boxes.push(Box::new_in([at; 4], alloc.clone()));
        most = most.max(source.pages_out());
    }
    most
}

fn flat<F: Fragments + Clone>(alloc: &InFragments<F>, source: &Source) {
    let once = round(alloc, source);
    assert_eq!(once, USES.div_ceil(16));
    let most = (0..100).map(|_| round(alloc, source)).max();
    assert_eq!(most, Some(once));
}

#[test]
fn with_an_mm() {
    let (mm, source) = small(USES);
    flat(&InFragments::new(&mm), &source);
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn with_a_handle() {
    let (mm, source) = small(USES);
    let handle = Handle::new(&mm);
    flat(&InFragments::new(&handle), &source);
    drop(handle);
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn with_lanes_and_kept_pages() {
    let (mm, source) = small(USES);
    let mm = mm.keeping(3).lanes(2);
    flat(&InFragments::new(&mm), &source);
    assert_eq!(source.pages_out(), 3);
    drop(mm);
    assert_eq!(source.pages_out(), 0);
}
