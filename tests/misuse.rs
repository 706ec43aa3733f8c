//! A caller's bug that memory safety rests on is found on the spot, named, and changes nothing.

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
};

use common::Bench;
use ptfrag::{Domain, Mm, OwnedDomain, Region};

type Four = Bench<4, 1024, 4096>;

/// The text of the panic that `f` raises.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it went through") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

/// The page's address as the panics print it.
fn page_of(frag: NonNull<u8>) -> String {
    format!("{:#x}", frag.addr().get() & !4095)
}

/// A bench with a page on which fragment 0 is used, 1 pending, 2 next in line and 3 free.
fn mixed() -> (Four, Vec<NonNull<u8>>) {
    let bench = Four::new(2);
    let frags: Vec<_> = bench.take(4).into_iter().map(|frag| frag.into_raw()).collect();
    for &frag in &frags[1..3] {
        // SAFETY: taken above, seen by nobody.
        unsafe { bench.mm().retire_raw(frag) };
    }
    // SAFETY: as above.
    drop(unsafe { bench.mm().from_raw(frags[3]) });
    (bench, frags)
}

#[test]
fn double_free() {
    for index in 1..4 {
        let (bench, frags) = mixed();
        let frag = frags[index];
        let before = bench.mm().page_word(frag);
        let expect = format!(
            "ptfrag: double free: fragment {index} of page {} is not used (UPXF listed host=3)",
            page_of(frag)
        );
        // SAFETY: not kept, which is the point: the panic comes before anything is done.
        assert_eq!(panic_of(|| unsafe { bench.mm().retire_raw(frag) }), expect);
        // SAFETY: as above.
        assert_eq!(panic_of(|| unsafe { bench.mm().from_raw(frag) }), expect);
        assert_eq!(bench.mm().page_word(frag), before);
        // SAFETY: fragment 0 is still out.
        unsafe { bench.mm().retire_raw(frags[0]) };
        bench.expect_home();
    }
}

#[test]
fn two_tokens_of_one_fragment() {
    let bench = Four::new(1);
    let frag = bench.mm().alloc().unwrap().into_raw();
    // SAFETY: taken above.
    let [first, second] = [(), ()].map(|()| unsafe { bench.mm().from_raw(frag) });
    first.retire();
    let text = panic_of(|| second.retire());
    assert_eq!(
        text,
        format!(
            "ptfrag: double free: fragment 0 of page {} is not used (PFFF listed host=3)",
            page_of(frag)
        )
    );
    bench.expect_home();
}

#[test]
fn a_batch_with_a_fragment_that_is_not_used() {
    let (bench, frags) = mixed();
    let frag = bench.mm().alloc().unwrap();
    assert_eq!(frag.as_ptr(), frags[3], "the host is the last to go");
    // SAFETY: fragment 3 is out, its token let go here.
    let [first, second] =
        [frag.into_raw(), frags[3]].map(|frag| unsafe { bench.mm().from_raw(frag) });
    first.give_back();
    let text = panic_of(|| ptfrag::Frag::retire_all([second]));
    assert!(text.contains("fragment 3 of page") && text.contains("(UPXF listed host=3)"), "{text}");
    // SAFETY: fragment 0 is still out.
    unsafe { bench.mm().retire_raw(frags[0]) };
    bench.expect_home();
}

#[test]
fn a_page_that_is_at_home() {
    let bench = Four::new(1);
    let frag = bench.mm().alloc().unwrap();
    let addr = frag.as_ptr();
    drop(frag);
    bench.expect_home();
    // SAFETY: not kept, which is the point.
    let text = panic_of(|| unsafe { bench.mm().retire_raw(addr) });
    let page = page_of(addr);
    assert_eq!(
        text,
        format!("ptfrag: double free: fragment 0 of page {page} is not used (at its source)")
    );
}

#[test]
fn pointers_that_are_no_fragments() {
    let bench = Four::new(2);
    let frag = bench.mm().alloc().unwrap().into_raw();
    let mut elsewhere = 0_u64;
    let foreign = NonNull::from(&mut elsewhere).cast();
    // SAFETY: not kept, which is the point.
    let text = panic_of(|| unsafe { bench.mm().retire_raw(foreign) });
    assert_eq!(text, format!("ptfrag: foreign pointer: {foreign:p} lies in no page of the source"));
    for offset in [1, 8, 1023] {
        // SAFETY: inside the fragment.
        let inside = unsafe { frag.add(offset) };
        // SAFETY: not kept, which is the point.
        let text = panic_of(|| unsafe { bench.mm().retire_raw(inside) });
        assert_eq!(
            text,
            format!(
                "ptfrag: bad pointer: {inside:p} lies {offset} bytes inside a fragment of 1024"
            )
        );
    }
    // SAFETY: taken above.
    unsafe { bench.mm().retire_raw(frag) };
    bench.expect_home();
}

#[test]
fn another_mms_fragment() {
    let bench = Four::new(2);
    let other = Mm::<4, 1024, common::ByHand<4096>>::new_in(
        bench.rcu,
        bench.region.clone(),
        bench.book.clone(),
    );
    let frag = bench.mm().alloc().unwrap();
    let addr = frag.as_ptr();
    // SAFETY: not kept, which is the point.
    let text = panic_of(|| unsafe { other.retire_raw(addr) });
    assert_eq!(
        text,
        format!(
            "ptfrag: wrong mm: fragment 0 of page {} (UFFF listed host=3) belongs to another mm",
            page_of(addr)
        )
    );
    let slot = other.slot();
    let text = panic_of(|| slot.publish(frag));
    assert_eq!(
        text,
        format!(
            "ptfrag: wrong mm: fragment 0 of page {} (UFFF listed host=3) belongs to another mm",
            page_of(addr)
        )
    );
    bench.expect_home();
}

#[test]
fn another_domains_guard() {
    let (own, other) = (OwnedDomain::new(), OwnedDomain::new());
    let mm = Mm::<4, 1024, _>::new(&own, Region::<4096>::new(1).unwrap());
    let slot = mm.slot();
    slot.publish(mm.alloc().unwrap());
    assert!(slot.load(&own.read()).is_some());
    for wrong in [&*other, Domain::global()] {
        assert_eq!(
            panic_of(|| slot.load(&wrong.read()).is_some()),
            "ptfrag: wrong guard: it does not hold up the grace periods of this mm's RCU domain"
        );
    }
}

/// A write after free into the fragment that holds the list node, found when the page is to leave
/// the list; once the node is as it was, so is everything else.
#[test]
fn an_overwritten_list_node() {
    for (at, kind) in (0..3).flat_map(|at| (0..3).map(move |kind| (at, kind))) {
        let bench = Four::new(3);
        let mut frags = bench.take(12);
        // Three pages are listed, the first in front.
        let hosts: Vec<_> = [11, 7, 3].map(|at| frags.remove(at)).into_iter().rev().collect();
        let host = hosts[at].as_ptr();
        // A node in which both links lead to the host of one page, but not of a neighbour on that side.
        let another = hosts[if at == 2 { 0 } else { 2 }].as_ptr().addr().get();
        let garbage = [[usize::MAX / 3; 2], [0; 2], [another; 2]][kind];
        drop(hosts.into_iter().rev().collect::<Vec<_>>());
        // One of them keeps one fragment besides the host.
        let last = frags.remove(3 * at);
        drop(frags.drain(3 * at..3 * at + 2));
        let addr = last.as_ptr();
        // SAFETY: not kept, which is the point; the memory is there.
        let node = unsafe { host.cast::<[usize; 2]>().as_mut() };
        let right = std::mem::replace(node, garbage);
        let expect = format!(
            "ptfrag: list corruption: page {} (UFFF listed host=3) and its neighbours do not point \
             at each other; somebody wrote into a free fragment",
            page_of(host)
        );
        assert_eq!(panic_of(|| last.give_back()), expect);
        *node = right;
        // SAFETY: the panic left the fragment used, and its token is gone.
        drop(unsafe { bench.mm().from_raw(addr) });
        drop(frags);
        bench.expect_home();
    }
}

/// Two nodes of different mms that somebody made point at each other: the neighbour's owner tells, and
/// neither node is written to.
#[test]
fn a_list_node_that_leads_to_another_mm() {
    let bench = Four::new(2);
    let other = Mm::<4, 1024, common::ByHand<4096>>::new_in(
        bench.rcu,
        bench.region.clone(),
        bench.book.clone(),
    );
    // On either page fragment 0 is used, 1 too, and 3 is the host.
    let [ours, theirs] = [bench.mm(), &other].map(|mm| [mm.alloc().unwrap(), mm.alloc().unwrap()]);
    // SAFETY: the host is in the page, behind fragment 0.
    let [our_host, their_host] =
        [&ours, &theirs].map(|frags| unsafe { frags[0].as_ptr().add(3072) });
    // SAFETY: not kept, which is the point; the memory is there.
    let our_node = unsafe { our_host.cast::<[usize; 2]>().as_mut() };
    // SAFETY: as above.
    let their_node = unsafe { their_host.cast::<[usize; 2]>().as_mut() };
    let right = (*our_node, *their_node);
    our_node[1] = their_host.addr().get();
    their_node[0] = our_host.addr().get();
    let forged = *their_node;
    let [last, first] = ours;
    first.give_back();
    let addr = last.as_ptr();
    let text = panic_of(|| last.give_back());
    assert!(text.starts_with("ptfrag: list corruption: page"), "{text}");
    assert_eq!(*their_node, forged);
    (*our_node, *their_node) = right;
    // SAFETY: the panic left the fragment used, and its token is gone.
    drop(unsafe { bench.mm().from_raw(addr) });
    drop((theirs, other));
    bench.expect_home();
}

/// A write after free into a fragment that one handle passes on to another.
#[test]
fn an_overwritten_link_of_what_was_passed_on() {
    const HOLDS: usize = ptfrag::Local::<4, 1024, common::ByHand<4096>>::HOLDS;
    for garbage in [[0; 2], [usize::MAX / 3; 2]] {
        let bench = Four::new(2 * HOLDS);
        let [mut first, mut second] = [(), ()].map(|()| bench.mm().local());
        let frags: Vec<_> = (0..HOLDS + 4).map(|_| first.alloc().unwrap()).collect();
        let addrs: Vec<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
        let next = first.alloc().unwrap();
        frags.into_iter().for_each(|frag| second.give_back(frag));
        // The chain is half of what fitted in; the one that was given back first is not in it.
        for addr in addrs {
            // SAFETY: not kept, which is the point; the memory is there.
            unsafe { addr.cast::<[usize; 2]>().write(garbage) };
        }
        let text =
            panic_of(|| (0..4).map(|_| first.alloc().unwrap().into_raw()).collect::<Vec<_>>());
        assert!(text.starts_with("ptfrag: list corruption: page"), "{text}");
        drop(next);
    }
}

/// What a handle holds is used as far as the word goes; builds with debug assertions look into the handle.
#[cfg(debug_assertions)]
#[test]
fn a_second_free_through_a_handle() {
    type Way = fn(&mut ptfrag::Local<4, 1024, common::ByHand<4096>>, NonNull<u8>, &Four);
    let retire: Way = |local, frag, _| {
        // SAFETY: not kept, which is the point.
        unsafe { local.retire_raw(frag) };
    };
    let give_back: Way = |local, frag, bench| {
        // SAFETY: as above.
        local.give_back(unsafe { bench.mm().from_raw(frag) });
    };
    // What becomes of the first free before the second one: gathered, in the stock, or sent for.
    for (first, calls, periods) in
        [(retire, 0, 0), (retire, 16, 0), (retire, 16, 1), (give_back, 0, 0)]
    {
        for second in [retire, give_back] {
            let bench = Four::new(20);
            let mut local = bench.mm().local();
            let frags: Vec<_> = (0..40).map(|_| local.alloc().unwrap().into_raw()).collect();
            first(&mut local, frags[0], &bench);
            for &frag in &frags[1..=calls] {
                retire(&mut local, frag, &bench);
            }
            (0..periods).for_each(|_| assert_ne!(bench.rcu.grace_period(), 0));
            let text = panic_of(|| second(&mut local, frags[0], &bench));
            let expect = format!(
                "ptfrag: double free: fragment {} of page {} is held by this handle",
                frags[0].addr().get() % 4096 / 1024,
                page_of(frags[0])
            );
            assert_eq!(text, expect);
            for &frag in &frags[1 + calls..] {
                retire(&mut local, frag, &bench);
            }
            drop(local);
            bench.expect_home();
        }
    }
}

/// What an mm finds when it is dropped is a panic as well, and its last page still ends it.
#[test]
fn an_overwritten_list_node_at_the_end_of_an_mm() {
    let bench = Four::new(1);
    let mm = Mm::<4, 1024, common::ByHand<4096>>::new_in(
        bench.rcu,
        bench.region.clone(),
        bench.book.clone(),
    );
    let frag = mm.alloc().unwrap();
    // SAFETY: the host is in the page, behind fragment 0.
    let host = unsafe { frag.as_ptr().add(3072) };
    // SAFETY: not kept, which is the point; the memory is there.
    let node = unsafe { host.cast::<[usize; 2]>().as_mut() };
    let right = std::mem::replace(node, [usize::MAX / 3; 2]);
    let text = panic_of(|| drop(mm));
    assert!(text.starts_with("ptfrag: list corruption: page"), "{text}");
    *node = right;
    drop(frag);
    bench.expect_home();
}
