//! Fences in all threads, in a model of loom.
//!
//! loom knows no fence of another thread. So whoever wants one asks each [`Processor`] and waits for its answer, and
//! a thread makes the fence, and answers, where it looks whether it is asked: at the places in which it makes a
//! difference where the fence comes. loom tries all of them. All changes are exchanges: loom would let a store come
//! before the question that it overwrites.

use core::cell::Cell;
use std::{sync::Mutex, vec::Vec};

use loom::{
    sync::atomic::{AtomicUsize, Ordering, fence},
    thread::{self, Thread},
};

/// Threads that run at the same time.
const PROCESSORS: usize = 3;

const IDLE: usize = 0;
const RUNNING: usize = 1;
const ASKED: usize = 2;

loom::lazy_static! {
    static ref STATES: [AtomicUsize; PROCESSORS] = core::array::from_fn(|_| AtomicUsize::new(IDLE));
    /// Who waits for an answer: not part of the model.
    static ref WAITING: Mutex<Vec<Thread>> = Mutex::new(Vec::new());
}

loom::thread_local! {
    static OWN: Cell<Option<usize>> = Cell::new(None);
}

/// A thread runs on it until this is dropped, and fences of others come meanwhile. A thread that has none is never waited
/// for: it makes a fence when it begins and when it ends.
#[derive(Debug)]
pub struct Processor(usize);

impl Processor {
    /// This thread runs on the processor with that number, below three, which no other runs on.
    #[must_use]
    pub fn enter(number: usize) -> Self {
        OWN.with(|own| own.set(Some(number)));
        go_on(number);
        Self(number)
    }

    /// Makes the fence here that another thread has asked this one for, if so.
    pub fn between() {
        between();
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        stop(self.0);
        OWN.with(|own| own.set(None));
    }
}

fn go_on(number: usize) {
    let before = STATES[number].swap(RUNNING, Ordering::AcqRel);
    assert_eq!(before, IDLE, "another thread is there");
    fence(Ordering::SeqCst);
}

fn stop(number: usize) {
    fence(Ordering::SeqCst);
    STATES[number].swap(IDLE, Ordering::AcqRel);
    wake();
}

/// Lets go on who waits for an answer.
fn wake() {
    let waiting = core::mem::take(&mut *WAITING.lock().expect("nobody panics in here"));
    waiting.iter().for_each(Thread::unpark);
}

/// Makes the fence that somebody has asked this thread for, if so.
pub(crate) fn between() {
    let Some(own) = OWN.with(Cell::get) else { return };
    // An exchange, so that no question is overlooked for ever.
    let asked = &STATES[own];
    if asked.compare_exchange(ASKED, ASKED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        fence(Ordering::SeqCst);
        asked.swap(RUNNING, Ordering::AcqRel);
        wake();
        // So that whoever asked can go on without a preemption.
        thread::yield_now();
    }
}

pub(crate) fn light_fence() {
    between();
}

pub(crate) fn may_fence_everywhere() -> bool {
    true
}

pub(crate) fn fence_everywhere() -> bool {
    fence(Ordering::SeqCst);
    let own = OWN.with(Cell::get);
    (0..PROCESSORS).filter(|other| Some(*other) != own).for_each(ask);
    fence(Ordering::SeqCst);
    true
}

/// Has the thread on that processor make a fence.
fn ask(number: usize) {
    let state = &STATES[number];
    loop {
        let found = state.compare_exchange(RUNNING, ASKED, Ordering::AcqRel, Ordering::Acquire);
        if found == Err(IDLE) {
            return;
        }
        wait_for_answer(state);
        // If it was asked by a third before, another question is to come.
        if found.is_ok() {
            return;
        }
    }
}

/// This thread does not run meanwhile.
fn wait_for_answer(state: &AtomicUsize) {
    let own = OWN.with(Cell::get);
    if let Some(own) = own {
        stop(own);
    }
    // An exchange, since a load might miss the answer.
    while state.compare_exchange(ASKED, ASKED, Ordering::Acquire, Ordering::Acquire).is_ok() {
        // loom switches threads before an operation, so nobody answers between these two.
        WAITING.lock().expect("nobody panics in here").push(thread::current());
        thread::park();
    }
    if let Some(own) = own {
        go_on(own);
    }
}
