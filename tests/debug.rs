//! What the types say of themselves, heads and parts at places of the embedder's among them.

mod common;

use std::{fmt::Debug, mem::MaybeUninit, ptr::NonNull};

use common::{Bench, ByHand, Manual};
use ptfrag::{
    LocalPart, Mm, MmHead, OwnedDomain, PageDesc, RawLock, Rcu, RcuHead, Region, SpinLock,
};

fn text(value: &impl Debug) -> String {
    format!("{value:?}")
}

#[test]
fn an_mm_and_what_it_hands_out() {
    let bench = Bench::<4, 64, 256>::new(1);
    assert_eq!(text(bench.mm()), "Mm(4 x 64 bytes, 0 pages)");
    let frag = bench.mm().alloc().unwrap();
    assert_eq!(text(bench.mm()), "Mm(4 x 64 bytes, 1 pages)");
    assert_eq!(text(&frag), format!("Frag({:p})", frag.as_ptr()));
    let slot = bench.mm().slot();
    assert_eq!(text(&slot), "Slot(0x0)");
    let addr = frag.as_ptr();
    slot.publish(frag);
    assert_eq!(text(&slot), format!("Slot({addr:p})"));
}

#[test]
fn the_parts() {
    assert_eq!(text(&PageDesc::new()), "PageDesc(0x0000000000000000)");
    assert_eq!(text(&RcuHead::new()), "RcuHead { .. }");
    let lock = SpinLock::new();
    assert_eq!(text(&lock), "SpinLock(free)");
    lock.lock();
    assert_eq!(text(&lock), "SpinLock(held)");
    let domain = OwnedDomain::new();
    assert_eq!((text(&domain), text(&*domain)), ("Domain { .. }".into(), "Domain { .. }".into()));
    assert_eq!(text(&domain.read()), "Guard { .. }");
    assert_eq!(text(&Rcu::read(&*domain)), "Section { .. }");
}

#[test]
fn heads_and_parts_in_place() {
    type Hand = ByHand<256, ()>;
    let (rcu, region) = (Manual::new(), Region::new(1).unwrap());
    let mut head = MaybeUninit::<MmHead<4, 64, Hand>>::uninit();
    let head = NonNull::from(&mut head);
    // SAFETY: the place lasts until the end of the test.
    let mm = unsafe { Mm::new_at(head, |_| (), rcu, region.clone(), ()) };
    // SAFETY: the head is there.
    let shown = text(unsafe { head.cast::<MmHead<4, 64, Hand>>().as_ref() });
    assert_eq!(shown, "MmHead(4 x 64 bytes, 0 pages)");
    let mut part = MaybeUninit::<LocalPart<4, 64, Hand>>::uninit();
    let part = NonNull::from(&mut part);
    // SAFETY: as above.
    let mut local = unsafe { mm.local_at(part, |_| ()) };
    // SAFETY: the part is there.
    let shown = text(unsafe { part.cast::<LocalPart<4, 64, Hand>>().as_ref() });
    assert_eq!(shown, "LocalPart { .. }");
    let frag = local.alloc().unwrap();
    local.retire(frag);
    drop((local, mm));
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}
