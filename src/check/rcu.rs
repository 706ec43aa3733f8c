//! The contract of RCU.

use core::{cell::Cell, ptr::NonNull};
use std::{
    boxed::Box,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use crate::{
    embed::Rcu,
    rcu_head::RcuHead,
    sync::{AtomicBool, AtomicUsize, Ordering},
};

std::thread_local! {
    /// Whether this thread is where no callback may run: in a call of the RCU's, or in a section.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does something during which no callback may run on this thread.
fn inside<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _back = Back(INSIDE.replace(true));
    work()
}

/// What waits for a grace period, and what came of it. It is never freed, in case a callback runs too often.
#[repr(C)]
struct Waiting {
    head: RcuHead,
    runs: AtomicUsize,
    ran_inside: AtomicBool,
}

/// Says what is wrong to whoever looks: a panic here would end the process.
unsafe extern "C" fn ran(head: NonNull<RcuHead>) {
    // SAFETY: the head is the first field, and what it is in stays.
    let waiting = unsafe { head.cast::<Waiting>().as_ref() };
    waiting.ran_inside.fetch_or(INSIDE.get(), Ordering::SeqCst);
    waiting.runs.fetch_add(1, Ordering::SeqCst);
}

impl Waiting {
    /// Queues a head.
    fn queue<R: Rcu>(rcu: R) -> &'static Self {
        let head = RcuHead::new();
        let new = Self { head, runs: AtomicUsize::new(0), ran_inside: AtomicBool::new(false) };
        let waiting: &'static Self = Box::leak(Box::new(new));
        // SAFETY: it is queued once, and stays.
        inside(|| unsafe { rcu.call(NonNull::from(waiting).cast(), ran) });
        waiting
    }

    fn has_run(&self) -> bool {
        let runs = self.runs.load(Ordering::SeqCst);
        assert!(runs < 2, "a callback ran twice");
        assert!(
            !self.ran_inside.load(Ordering::SeqCst),
            "a callback ran inside call or read, when a guard was dropped, or in a section"
        );
        runs == 1
    }

    /// Waits for the callback, while nobody is in a section; says how long that took.
    fn wait(&self, drive: &mut impl FnMut()) -> Duration {
        let begun = Instant::now();
        while !self.has_run() {
            drive();
            thread::yield_now();
            let long = begun.elapsed() > LONG;
            assert!(!long, "a callback does not come, though nobody is in a section");
        }
        begun.elapsed()
    }
}

/// How long somebody who drives the RCU may take to end a grace period.
const LONG: Duration = Duration::from_secs(60);

/// Checks an [`Rcu`], which nobody else uses meanwhile. `drive` does what moves grace periods on and runs callbacks, as
/// little or as much as it likes at a time, but for waiting until readers have left; it is called on this thread, outside of
/// sections.
///
/// It takes ten times as long as a few grace periods take, and half a second.
///
/// # Panics
/// When a callback runs while a guard is held that was there before, on this thread or another, where none may run, or twice,
/// or does not come within a minute when there is no guard, also on behalf of a thread that does nothing any more; when
/// tickets do not fit what happens; or when [`covers`](Rcu::covers) does not know a guard.
pub fn rcu<R: Rcu>(rcu: R, mut drive: impl FnMut()) {
    let took = (0..3).map(|_| Waiting::queue(rcu).wait(&mut drive)).max().unwrap_or_default();
    let long = Duration::from_millis(50).max(10 * took);

    // Guards of another thread, since this one drives.
    for held in [Held::One, Held::Inner, Held::Outer] {
        elsewhere(rcu, held, long, &mut drive);
    }
    nested_here(rcu, &mut drive);
    for_another(rcu, long, &mut drive);

    let ticket = rcu.ticket();
    if ticket != 0 {
        assert!(rcu.gave(ticket), "gave does not know a ticket");
        let begun = Instant::now();
        while !rcu.has_elapsed(ticket) && begun.elapsed() < LONG {
            Waiting::queue(rcu).wait(&mut drive);
        }
        assert!(rcu.has_elapsed(ticket), "a ticket does not elapse, though callbacks come");
        assert!(!rcu.is_current(ticket), "a ticket is current again after it has elapsed");
    }
}

/// Sections nest, and guards move.
fn nested_here<R: Rcu>(rcu: R, drive: &mut impl FnMut()) {
    let waiting = inside(|| {
        let outer = rcu.read();
        let inner = Box::new(rcu.read());
        let known = rcu.covers(&outer) && rcu.covers(&inner);
        assert!(known, "covers does not know the RCU's own guard");
        drop(outer);
        let waiting = Waiting::queue(rcu);
        assert!(!waiting.has_run(), "a callback ran inside call");
        drop(inner);
        waiting
    });
    waiting.wait(drive);
}

/// What a thread has queued that stands still, or ends, does not need it.
fn for_another<R: Rcu>(rcu: R, long: Duration, drive: &mut impl FnMut()) {
    let (queued, leave) = (OnceLock::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let stands = scope.spawn(|| {
            let waiting = queued.get_or_init(|| Waiting::queue(rcu));
            until(&leave, LONG);
            waiting
        });
        let _leave = Leave(&leave);
        let waiting: &Waiting = loop {
            assert!(!stands.is_finished(), "call panics");
            match queued.get() {
                Some(waiting) => break waiting,
                None => thread::yield_now(),
            }
        };
        drive_for(10 * long, drive, || !waiting.has_run());
        assert!(waiting.has_run(), "a callback waits for the thread that queued it");
    });

    let ended = thread::scope(|scope| scope.spawn(|| Waiting::queue(rcu)).join());
    ended.expect("call does not panic").wait(drive);
}

/// Drives for so long, and often enough also where the processor is busy with others, as long as something holds.
fn drive_for(long: Duration, drive: &mut impl FnMut(), goes_on: impl Fn() -> bool) {
    let (begun, mut times) = (Instant::now(), 0);
    while goes_on() && (times < 100 || begun.elapsed() < long) {
        drive();
        times += 1;
        thread::yield_now();
    }
}

/// Waits until somebody leaves, at most so long; says whether that was so.
fn until(leave: &AtomicBool, long: Duration) -> bool {
    let begun = Instant::now();
    while !leave.load(Ordering::SeqCst) {
        if begun.elapsed() > long {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Has the other thread leave when this is dropped, also by a panic.
struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What is held of two sections, one inside the other.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// There is one only.
    One,
    /// The outer one was left first.
    Inner,
    /// The inner one was left.
    Outer,
}

/// Nothing that is queued while another thread has a guard runs before that is dropped.
fn elsewhere<R: Rcu>(rcu: R, what: Held, long: Duration, drive: &mut impl FnMut()) {
    let [held, leave, left] = [(); 3].map(|()| AtomicBool::new(false));
    let waiting = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            inside(|| {
                let outer = rcu.read();
                let inner = (what != Held::One).then(|| rcu.read());
                let kept = match what {
                    Held::One | Held::Outer => {
                        drop(inner);
                        Some(outer)
                    }
                    Held::Inner => {
                        drop(outer);
                        inner
                    }
                };
                held.store(true, Ordering::SeqCst);
                // Much longer than anybody has to.
                let asked = until(&leave, 100 * long);
                left.store(true, Ordering::SeqCst);
                drop(kept);
                asked
            })
        });
        let waiting = {
            let _leave = Leave(&leave);
            while !held.load(Ordering::SeqCst) && !reader.is_finished() {
                thread::yield_now();
            }
            let ticket = rcu.ticket();
            let waiting = Waiting::queue(rcu);
            let early = |over: bool| over && !left.load(Ordering::SeqCst);
            drive_for(long, drive, || {
                assert!(
                    !early(waiting.has_run()),
                    "a callback ran before a guard was dropped that was there when it was queued"
                );
                assert!(
                    !early(ticket != 0 && rcu.has_elapsed(ticket)),
                    "a ticket has elapsed before a guard was dropped that was there"
                );
                !left.load(Ordering::SeqCst)
            });
            waiting
        };
        let asked = reader.join().expect("neither read nor a guard's drop panics");
        assert!(asked, "drive waits for readers, or somebody had it wait");
        waiting
    });
    waiting.wait(drive);
}
