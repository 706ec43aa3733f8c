//! crossbeam-epoch as RCU.

#![cfg(all(unix, feature = "crossbeam-epoch"))]

use std::{
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use crossbeam_epoch::{Collector, pin};
use ptfrag::{Embed, Epoch, Mm, Rcu, Region, SpinLock, check};

struct Parts;

impl Embed for Parts {
    type Rcu = Epoch;
    type Source = Region;
    type Lock = SpinLock;
    type Hooks = ();
}

/// Held by a test: they share the collector, and so the heads that are ready.
static ALONE: Mutex<()> = Mutex::new(());

/// Polls until all pages are home.
fn settle(region: &Region) {
    for _ in 0..10_000 {
        if region.pages_out() == 0 {
            return;
        }
        Epoch::poll();
    }
    panic!("{} pages are out", region.pages_out());
}

#[test]
fn it_keeps_the_contract() {
    let _alone = ALONE.lock();
    check::rcu(Epoch, || {
        Epoch::poll();
    });
}

#[test]
fn whose_guards_it_knows() {
    let collector = Collector::new();
    let handle = collector.register();
    assert!(Epoch.covers(&pin()));
    assert!(!Epoch.covers(&handle.pin()));
    // SAFETY: nothing is done with it.
    assert!(!Epoch.covers(unsafe { crossbeam_epoch::unprotected() }));
}

#[test]
fn no_callbacks_in_a_section() {
    let _alone = ALONE.lock();
    let poll = || {
        let _guard = pin();
        Epoch::poll()
    };
    assert!(catch_unwind(poll).is_err());
}

/// A retirement runs nothing that others have deferred, however ripe that is.
#[test]
fn retiring_runs_nothing_of_others() {
    static RAN: AtomicBool = AtomicBool::new(false);
    let _alone = ALONE.lock();
    let region = Region::new(1000).unwrap();
    let mm = Mm::<16, 256, Parts>::new_in(Epoch, region.clone(), ());
    let frags: Vec<_> = (0..64).map(|_| mm.alloc().unwrap()).collect();
    thread::scope(|scope| {
        // On a thread that does nothing afterwards, so that nobody but the retirements could run it.
        scope.spawn(|| {
            let guard = pin();
            guard.defer(|| RAN.store(true, Ordering::SeqCst));
            guard.flush();
        });
    });
    frags.into_iter().for_each(|frag| frag.retire());
    assert!(!RAN.load(Ordering::SeqCst));
    drop(mm);
    settle(&region);
    assert!(RAN.load(Ordering::SeqCst), "the polls run it");
}

/// What a thread has queued that stands still is run by another.
#[test]
fn a_thread_that_stands_still() {
    let _alone = ALONE.lock();
    let region = Region::new(8).unwrap();
    let mm = Mm::<2, 2048, Parts>::new_in(Epoch, region.clone(), ());
    let (go, wait) = mpsc::channel::<()>();
    let (retired, seen) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            mm.alloc().unwrap().retire();
            drop(mm);
            retired.send(()).unwrap();
            let _ = wait.recv();
        });
        seen.recv().unwrap();
        settle(&region);
        drop(go);
    });
}

#[test]
fn an_mm_over_the_default_collector() {
    let _alone = ALONE.lock();
    let region = Region::new(256).unwrap();
    let mm = Mm::<16, 256, Parts>::new_in(Epoch, region.clone(), ());
    let slots: Vec<_> = (0..8).map(|_| mm.slot()).collect();
    thread::scope(|scope| {
        for writer in 0..2_u8 {
            let (mm, slots) = (&mm, &slots);
            scope.spawn(move || {
                for round in 0..4000_usize {
                    let Ok(mut frag) = mm.alloc() else {
                        Epoch::poll();
                        continue;
                    };
                    frag.fill(round as u8);
                    slots[(round + usize::from(writer)) % 8].publish(frag);
                    if round % 32 == 0 {
                        Epoch::poll();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20_000 {
                let guard = pin();
                for slot in &slots {
                    if let Some(bytes) = slot.load(&guard) {
                        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                    }
                }
            }
        });
    });
    drop((slots, mm));
    settle(&region);
}
