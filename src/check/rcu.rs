//! The contract of RCU.

use core::{mem::ManuallyDrop, ptr::NonNull};
use std::{
    boxed::Box,
    thread,
    time::{Duration, Instant},
};

use crate::{
    embed::Rcu,
    rcu_head::RcuHead,
    sync::{AtomicBool, Ordering},
};

/// What waits for a grace period, and whether it is over.
#[repr(C)]
struct Waiting {
    head: RcuHead,
    ran: AtomicBool,
}

unsafe extern "C" fn ran(head: NonNull<RcuHead>) {
    // SAFETY: the head is the first field, and what it is in stays until it is seen that this ran.
    let waiting = unsafe { head.cast::<Waiting>().as_ref() };
    assert!(!waiting.ran.swap(true, Ordering::SeqCst), "a callback ran twice");
}

/// How long somebody who drives the RCU may take to end a grace period.
const LONG: Duration = Duration::from_secs(60);

/// Queues a head, that stays where it is until the callback has run; after a panic for good.
fn queue<R: Rcu>(rcu: R) -> ManuallyDrop<Box<Waiting>> {
    let waiting = Box::new(Waiting { head: RcuHead::new(), ran: AtomicBool::new(false) });
    let waiting = ManuallyDrop::new(waiting);
    // SAFETY: it is queued once, and is waited for before it goes.
    unsafe { rcu.call(NonNull::from(&**waiting).cast(), ran) };
    waiting
}

fn wait(waiting: ManuallyDrop<Box<Waiting>>, drive: &mut impl FnMut()) {
    let begun = Instant::now();
    while !waiting.ran.load(Ordering::SeqCst) {
        drive();
        thread::yield_now();
        assert!(begun.elapsed() <= LONG, "a callback does not come, though nobody is in a section");
    }
    drop(ManuallyDrop::into_inner(waiting));
}

/// Checks an [`Rcu`], which nobody else uses meanwhile. `drive` does what moves grace periods on and runs callbacks, as
/// little or as much as it likes at a time; it is called on this thread, outside of sections.
///
/// # Panics
/// When a callback runs while a guard is held that was there before, on this thread or another, or does not come within a
/// minute when there is none; when tickets do not fit what happens; or when [`covers`](Rcu::covers) does not know a guard.
pub fn rcu<R: Rcu>(rcu: R, mut drive: impl FnMut()) {
    wait(queue(rcu), &mut drive);

    // A guard of another thread, since this one drives.
    held_elsewhere(rcu, &mut drive, || ());
    // Sections nest, and guards move.
    {
        let outer = rcu.read();
        let inner = Box::new(rcu.read());
        assert!(
            rcu.covers(&outer) && rcu.covers(&inner),
            "covers does not know the RCU's own guard"
        );
        drop(outer);
        let waiting = queue(rcu);
        assert!(!waiting.ran.load(Ordering::SeqCst), "a callback ran inside call");
        drop(inner);
        wait(waiting, &mut drive);
    }

    let ticket = rcu.ticket();
    if ticket != 0 {
        assert!(rcu.gave(ticket), "gave does not know a ticket");
        held_elsewhere(rcu, &mut drive, || {
            let mine = rcu.ticket();
            assert!(!rcu.has_elapsed(mine), "a ticket has elapsed that was got under a guard");
        });
        let begun = Instant::now();
        while !rcu.has_elapsed(ticket) && begun.elapsed() < LONG {
            wait(queue(rcu), &mut drive);
        }
        assert!(rcu.has_elapsed(ticket), "a ticket does not elapse, though callbacks come");
        assert!(!rcu.is_current(ticket), "a ticket is current again after it has elapsed");
    }
    assert!(!rcu.gave(0), "zero is no ticket");
}

/// Has the other thread leave its section when this is dropped, also by a panic.
struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Nothing that is queued while another thread has a guard runs before that is dropped.
fn held_elsewhere<R: Rcu>(rcu: R, drive: &mut impl FnMut(), meanwhile: impl FnOnce()) {
    let (held, leave) = (AtomicBool::new(false), AtomicBool::new(false));
    let waiting = thread::scope(|scope| {
        scope.spawn(|| {
            let guard = rcu.read();
            held.store(true, Ordering::SeqCst);
            while !leave.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            drop(guard);
        });
        let _leave = Leave(&leave);
        while !held.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let ticket = rcu.ticket();
        let waiting = queue(rcu);
        meanwhile();
        for _ in 0..200 {
            drive();
        }
        assert!(
            !waiting.ran.load(Ordering::SeqCst),
            "a callback ran before a guard was dropped that was there when it was queued"
        );
        assert!(
            !rcu.has_elapsed(ticket),
            "a ticket has elapsed before a guard was dropped that was there"
        );
        waiting
    });
    wait(waiting, drive);
}
