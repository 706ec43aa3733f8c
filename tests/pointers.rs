//! What C holds: mms, handles and fragments as pointers.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::{
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    thread,
};

use common::{Bench, ByHand, Manual};
use ptfrag::{Frag, Local, LocalPart, Mm, MmHead, PageDesc, Region};

type Parts = ByHand<4096>;
type Four = Bench<4, 1024, 4096>;

/// A structure of C, with the sizes that its headers have.
#[repr(C)]
struct Process {
    mm: *mut MmHead<4, 1024, Parts>,
    handle: *mut LocalPart<4, 1024, Parts>,
    table: *mut u8,
}

#[test]
fn an_mm_and_a_handle_in_a_structure_of_c() {
    let mut bench = Four::new(4);
    let mm = bench.mm.take().unwrap();
    let handle = mm.local().into_ptr().as_ptr();
    let process = Process { mm: mm.into_ptr().as_ptr(), handle, table: std::ptr::null_mut() };
    let pointer = |of: *mut MmHead<4, 1024, Parts>| NonNull::new(of).unwrap();
    // SAFETY: the mm is in the structure, and is not dropped here.
    let mm = ManuallyDrop::new(unsafe { Mm::from_ptr(pointer(process.mm)) });
    let frags = [(); 6].map(|()| mm.alloc().unwrap());
    assert_eq!(mm.pages(), 2);
    // SAFETY: the handle is in the structure, and used by nobody else.
    let local = unsafe { Local::at_ptr(NonNull::new(process.handle).unwrap()) };
    frags.into_iter().for_each(|frag| local.retire(frag));
    let again = local.alloc().unwrap();
    bench.rcu.run_down();
    // SAFETY: as above, and not used in place any more.
    let mut local = unsafe { Local::from_ptr(NonNull::new(process.handle).unwrap()) };
    local.give_back(again);
    drop(local);
    // SAFETY: it is dropped once.
    drop(unsafe { Mm::from_ptr(pointer(process.mm)) });
    assert!(process.table.is_null());
    bench.expect_home();
}

/// Whoever frees knows the source and the pointer; the mm has been gone for long.
#[test]
fn fragments_outlive_their_mm_as_pointers() {
    let mut bench = Four::new(4);
    let [retired, unseen, kept] =
        [(); 3].map(|()| bench.mm().alloc().unwrap().into_raw().as_ptr() as usize);
    bench.mm = None;
    let region = bench.region.clone();
    thread::spawn(move || {
        let pointer =
            |addr: usize| NonNull::new(std::ptr::with_exposed_provenance_mut(addr)).unwrap();
        // SAFETY: let go above, of an mm of this type, and freed once.
        unsafe { Frag::<4, 1024, Parts>::retire_raw(&region, pointer(retired)) };
        // SAFETY: as above, and nobody has seen it.
        let mut frag = unsafe { Frag::<4, 1024, Parts>::from_raw(&region, pointer(unseen)) };
        frag[1023] = 1;
        frag.give_back();
        // SAFETY: as above.
        unsafe { Frag::<4, 1024, Parts>::from_raw(&region, pointer(kept)) }.retire();
    })
    .join()
    .unwrap();
    bench.expect_home();
}

#[test]
fn misuse_is_found_without_the_mm() {
    let bench = Four::new(2);
    let frag = bench.mm().alloc().unwrap().into_raw();
    let found = |frag: NonNull<u8>| {
        let retire =
            // SAFETY: not kept, which is the point: the panic comes before anything is done.
            || unsafe { Frag::<4, 1024, Parts>::retire_raw(&bench.region, frag) };
        let error = catch_unwind(AssertUnwindSafe(retire)).unwrap_err();
        // SAFETY: as above.
        let token = || drop(unsafe { Frag::<4, 1024, Parts>::from_raw(&bench.region, frag) });
        let again = catch_unwind(AssertUnwindSafe(token)).unwrap_err();
        assert_eq!(error.downcast_ref::<String>(), again.downcast_ref::<String>());
        error.downcast_ref::<String>().unwrap().clone()
    };
    let mut elsewhere = 0_u64;
    assert!(found(NonNull::from(&mut elsewhere).cast()).starts_with("ptfrag: foreign pointer"));
    // SAFETY: in the fragment.
    assert!(found(unsafe { frag.add(8) }).starts_with("ptfrag: bad pointer"));
    // SAFETY: let go above.
    unsafe { Frag::<4, 1024, Parts>::retire_raw(&bench.region, frag) };
    assert!(found(frag).starts_with("ptfrag: double free: fragment 0 of page"));
    bench.expect_home();
}

/// Headers for C can say how large a descriptor is, and zeros are one.
#[test]
fn descriptors_for_c() {
    assert_eq!((PageDesc::SIZE, PageDesc::ALIGN), (size_of::<PageDesc>(), align_of::<PageDesc>()));
    #[cfg(target_pointer_width = "64")]
    assert_eq!((PageDesc::SIZE, PageDesc::ALIGN), (40, 8));
    // SAFETY: all zero is valid, as its documentation says.
    let desc = unsafe { std::mem::zeroed::<PageDesc>() };
    assert_eq!(format!("{desc:?}"), format!("{:?}", PageDesc::new()));
    let mm = Mm::<4, 1024, ByHand<4096, ()>>::new_in(Manual::new(), Region::new(1).unwrap(), ());
    assert!(mm.alloc().is_ok());
}
