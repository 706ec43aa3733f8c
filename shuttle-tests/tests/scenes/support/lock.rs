//! The crate's lock, which a thread can be told never to leave again.

use std::cell::RefCell;

use ptfrag::{RawLock, SpinLock};
use shuttle::sync::{Arc, Condvar, Mutex};

/// Where in a lock hold a thread stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// As soon as it has the lock, with nothing changed.
    Entering,
    /// With word and list changed, before it lets the lock go.
    Leaving,
}

/// Lets the thread that stopped go on, when everything has been seen that should happen without it.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Released,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Running), changed: Condvar::new() })
    }

    /// Stops the calling thread until [`open`](Self::open).
    pub(crate) fn pass(&self) {
        self.change(State::Running, State::Stopped);
        self.wait(|state| state == State::Released);
    }

    /// Waits until the other thread has stopped.
    pub(crate) fn wait_for_stop(&self) {
        self.wait(|state| state != State::Running);
    }

    pub(crate) fn open(&self) {
        self.change(State::Stopped, State::Released);
    }

    fn change(&self, from: State, to: State) {
        let Ok(mut state) = self.state.lock() else { return };
        assert!(*state == from, "a gate is passed once, and opened after that");
        *state = to;
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(State) -> bool) {
        let Ok(mut state) = self.state.lock() else { return };
        while !until(*state) {
            match self.changed.wait(state) {
                Ok(again) => state = again,
                Err(_) => return,
            }
        }
    }
}

shuttle::thread_local! {
    static STOP: RefCell<Option<(Stop, Arc<Gate>)>> = RefCell::new(None);
}

/// Has the calling thread stop at `gate` the next time that it waits for a lock and gets it.
pub(crate) fn stop_in_next_hold(stop: Stop, gate: Arc<Gate>) {
    STOP.with(|place| place.replace(Some((stop, gate))));
}

fn stop_here(here: Stop) {
    let gate = STOP
        .try_with(|place| {
            let mut place = place.borrow_mut();
            place.take_if(|(stop, _)| *stop == here)
        })
        .ok()
        .flatten();
    if let Some((_, gate)) = gate {
        gate.pass();
    }
}

/// The lock of all the scenes' mms.
pub(crate) struct Lock(SpinLock);

// SAFETY: the crate's lock does it all. A stop on leaving comes before the lock is released.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        self.0.lock();
        stop_here(Stop::Entering);
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        stop_here(Stop::Leaving);
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }
}
