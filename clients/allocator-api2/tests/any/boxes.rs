//! `Box`.

use std::{
    mem::MaybeUninit,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use ptfrag_client_allocator_api2::{Handle, InFragments};

use super::parts::{Bomb, Counted, Counter, small};
use crate::api::{boxed::Box, vec::Vec};

#[test]
fn values_are_there_and_dropped_once() {
    let (mm, source) = small(1);
    let (alloc, counter) = (InFragments::new(&mm), Counter::default());
    let mut boxes: std::vec::Vec<_> =
        (0..16).map(|number| Box::new_in(counter.value(number), alloc)).collect();
    let refused = Box::try_new_in(counter.value(16), alloc);
    assert!(refused.is_err());
    assert_eq!(counter.dropped(), 1, "what was refused");
    drop(boxes.remove(3));
    let again = Box::try_new_in(counter.value(17), alloc).expect("one was dropped");
    assert!(boxes.iter().map(|boxed| boxed.number).eq((0..16).filter(|number| *number != 3)));
    assert_eq!(Box::into_inner(again).number, 17);
    drop(boxes);
    assert_eq!((counter.dropped(), counter.alive()), (18, 0));
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn types_that_fit_and_types_that_do_not() {
    #[repr(align(256))]
    struct Aligned(u8);
    #[repr(align(512))]
    #[derive(Debug)]
    struct Over(#[allow(dead_code, reason = "only its alignment matters")] u8);

    let (mm, source) = small(1);
    let alloc = InFragments::new(&mm);
    let aligned = Box::new_in(Aligned(7), alloc);
    assert_eq!((&raw const *aligned).addr() % 256, 0);
    assert_eq!(aligned.0, 7);
    assert!(Box::try_new_in([0_u8; 256], alloc).is_ok());
    assert!(Box::try_new_in([0_u8; 257], alloc).is_err());
    assert!(Box::try_new_in(Over(1), alloc).is_err());
    drop(aligned);
    assert_eq!(source.pages_out(), 0);
}

/// Upstream's `Box` of nothing allocates nothing, and deallocates it all the same.
#[test]
fn nothing_takes_no_memory() {
    struct Nothing;
    #[repr(align(1024))]
    struct Wide;

    let (mm, source) = small(0);
    let alloc = InFragments::new(&mm);
    let (nothing, wide) = (Box::new_in(Nothing, alloc), Box::new_in(Wide, alloc));
    assert_eq!((&raw const *wide).addr() % 1024, 0);
    let none = Vec::<u64, _>::new_in(alloc).into_boxed_slice();
    assert!(Box::try_new_in(1_u8, alloc).is_err());
    drop((nothing, wide, none));
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn slices_and_trait_objects() {
    let (mm, source) = small(2);
    let handle = Handle::new(&mm);
    let alloc = InFragments::new(&handle);
    let mut bytes = Box::<[u8], _>::new_uninit_slice_in(256, alloc);
    bytes.fill(MaybeUninit::new(5));
    // SAFETY: filled just now.
    let bytes = unsafe { bytes.assume_init() };
    let mut bytes = bytes.into_vec();
    assert!(bytes.try_reserve_exact(1).is_err());
    bytes.truncate(100);
    let bytes = bytes.into_boxed_slice();
    assert!(bytes.len() == 100 && bytes.iter().all(|byte| *byte == 5));
    let counter = Counter::default();
    let value = counter.value(0);
    // As the macro `unsize_box` does it, which in 0.2 wants the crate under its own name.
    let (call, alloc) = Box::into_raw_with_allocator(Box::new_in(
        move || {
            let Counted { number, .. } = &value;
            number + 41
        },
        alloc,
    ));
    // SAFETY: the same box, by another type.
    let call = unsafe { Box::from_raw_in(call as *mut dyn Fn() -> usize, alloc) };
    assert_eq!((call(), counter.alive()), (41, 1));
    drop((bytes, call));
    assert_eq!(counter.alive(), 0);
    handle.flush();
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn panics() {
    let (mm, source) = small(2);
    let (alloc, counter) = (InFragments::new(&mm), Counter::default());
    let boxed = Box::new_in(counter.with(1, Bomb::InClone), alloc);
    assert!(catch_unwind(AssertUnwindSafe(|| boxed.clone())).is_err());
    drop(boxed);
    assert_eq!((counter.alive(), source.pages_out()), (0, 0), "the clone's memory is back");

    let boxed = Box::new_in(counter.with(2, Bomb::InDrop), alloc);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err());
    assert_eq!(counter.alive(), 0);
    assert_eq!(
        source.pages_out(),
        1,
        "upstream's `Box` leaks here; else mend the crate's documentation"
    );
}

#[test]
fn boxes_outlive_their_owners() {
    let (mm, source) = small(1);
    let mm = Arc::new(mm);
    let counter = Counter::default();
    let pinned = Box::pin_in(counter.value(1), InFragments::new(Arc::clone(&mm)));
    let leaked = Box::leak(Box::new_in(counter.value(2), InFragments::new(Arc::clone(&mm))));
    let last = Box::new_in(counter.value(3), InFragments::new(Arc::clone(&mm)));
    mm.close();
    drop(mm);
    assert!(Box::try_new_in(0, last.allocator()).is_err(), "closed");
    assert_eq!((pinned.number, leaked.number, last.number), (1, 2, 3));
    drop((pinned, last));
    assert_eq!((leaked.number, counter.alive(), source.pages_out()), (2, 1, 1));
}

trait AllocatorOf {
    type Allocator;
    fn allocator(&self) -> &Self::Allocator;
}

impl<T, A: crate::api::alloc::Allocator> AllocatorOf for Box<T, A> {
    type Allocator = A;
    fn allocator(&self) -> &A {
        Box::allocator(self)
    }
}
