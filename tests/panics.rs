//! What becomes of fragments and pages when a hook panics in the middle of something.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ptfrag::{Domain, Frag, Hooks, Mm, OwnedDomain, Region, Std};

/// Panics for the first page that goes home.
#[derive(Default)]
struct PanicsOnce(AtomicBool);

impl Hooks for PanicsOnce {
    fn page_out(&self, _: NonNull<u8>) {
        assert!(self.0.swap(true, Ordering::Relaxed), "this page stays");
    }
}

type Tables<'d> = Mm<2, 2048, Std<'d, 4096, PanicsOnce>>;
type Table<'d> = Frag<2, 2048, Std<'d, 4096, PanicsOnce>>;

/// Plays a scene, and then everything must be home.
fn play(pages: usize, scene: impl FnOnce(&Tables)) {
    play_in_time(pages, |mm, _| scene(mm));
}

/// The same, with the domain to run callbacks of.
fn play_in_time(pages: usize, scene: impl FnOnce(&Tables, &Domain)) {
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(pages).unwrap();
    let mm: Tables = Mm::new_in(&*domain, region.clone(), PanicsOnce::default());
    scene(&mm, &domain);
    drop(mm);
    (0..4).for_each(|_| domain.barrier());
    assert_eq!(region.pages_out(), 0);
}

fn take<'d>(mm: &Tables<'d>, count: usize) -> Vec<Table<'d>> {
    (0..count).map(|_| mm.alloc().unwrap()).collect()
}

fn panics(work: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
}

/// A handle that gives back what it has too much of does not count it as its own while the hook runs.
#[test]
fn what_a_handle_trims_is_not_its_own() {
    play(100, |mm| {
        let mut local = mm.local();
        let shown = take(mm, 17);
        let _odd = take(mm, 1);
        take(mm, 40).into_iter().for_each(|frag| local.give_back(frag));
        let retire = |frag| catch_unwind(AssertUnwindSafe(|| local.retire(frag))).is_err();
        assert_eq!(shown.into_iter().map(retire).filter(|panicked| *panicked).count(), 1);
        let found = local.alloc().unwrap();
        assert!(take(mm, 6).iter().all(|frag| frag.as_ptr() != found.as_ptr()));
    });
}

/// Nor does its drop, when the panic ends the thread.
#[test]
fn a_handle_that_trims_ends_with_its_thread() {
    play(100, |mm| {
        let trim = || {
            let mut local = mm.local();
            let shown = take(mm, 17);
            let odd = take(mm, 1).pop().unwrap().into_raw();
            take(mm, 40).into_iter().for_each(|frag| local.give_back(frag));
            // SAFETY: it is of this mm, and was just let go.
            let _odd = unsafe { mm.from_raw(odd) };
            shown.into_iter().for_each(|frag| local.retire(frag));
        };
        assert!(thread::scope(|scope| scope.spawn(trim).join()).is_err());
    });
}

/// With a call in flight.
#[test]
fn a_flush_loses_nothing() {
    play_in_time(1000, |mm, domain| {
        let mut local = mm.local();
        let (shown, unseen) = (take(mm, 18), take(mm, 400));
        shown.into_iter().for_each(|frag| local.retire(frag));
        unseen.into_iter().for_each(|frag| local.give_back(frag));
        panics(|| local.flush());
        // The callback gives back what was sent, and the handle finds that it has.
        domain.barrier();
        local.flush();
    });
}

/// Nor does what is given back afterwards come in front of what was sent.
#[test]
fn a_flush_leaves_the_handle_in_order() {
    play(1000, |mm| {
        let mut local = mm.local();
        let (shown, pair, unseen) = (take(mm, 18), take(mm, 2), take(mm, 100));
        shown.into_iter().for_each(|frag| local.retire(frag));
        pair.into_iter().for_each(|frag| local.give_back(frag));
        panics(|| local.flush());
        unseen.into_iter().for_each(|frag| local.give_back(frag));
        drop((local.alloc(), local.alloc()));
        local.flush();
    });
}

/// One handle has passed on more than it holds, another lets go of that.
#[test]
fn what_was_passed_on_is_not_lost() {
    play(1000, |mm| {
        let (mut first, mut second) = (mm.local(), mm.local());
        take(mm, 500).into_iter().for_each(|frag| first.give_back(frag));
        panics(|| second.flush());
    });
}

/// The only handle is dropped.
#[test]
fn the_last_handle_leaves_nothing() {
    play(1000, |mm| {
        let mut local = mm.local();
        take(mm, 500).into_iter().for_each(|frag| local.give_back(frag));
        panics(|| drop(local));
    });
}
