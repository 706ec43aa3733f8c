//! Waiting for a grace period, or for callbacks.

use super::{Shared, pace::BATCH, queue::Queue, record::Record, thread};
use crate::sync::{Arc, Backoff};

/// Waiting in a section would be waiting for oneself.
#[track_caller]
fn refuse_in_section(domain: &Shared, what: &str) {
    let inside = thread::known_record(domain).is_some_and(Record::in_section);
    assert!(
        !inside,
        "ptfrag: {what} called inside a read-side section of the same domain: it would never return"
    );
}

/// Ends a grace period that begins now.
#[track_caller]
pub(super) fn synchronize(domain: &Shared) {
    refuse_in_section(domain, "synchronize");
    let start = domain.clock.tag();
    let backoff = Backoff::new();
    while !start.is_over(domain.clock.now_after_readers()) {
        if !domain.advance() {
            backoff.snooze();
        }
    }
}

/// Waits for what is queued now, and helps.
#[track_caller]
pub(super) fn barrier(domain: &Arc<Shared>) {
    refuse_in_section(domain, "barrier");
    assert!(
        !thread::in_callback(),
        "ptfrag: barrier called inside a callback: it would wait for itself"
    );
    match thread::record(domain) {
        Some(me) => wait(domain, me),
        None => {
            // The thread's locals are gone: a record for the time being.
            let me = domain.records.claim(domain, true);
            wait(domain, me);
            domain.records.release(me);
        }
    }
}

fn wait(domain: &Shared, me: &Record) {
    // All of them first, so that one grace period does for all.
    for record in domain.records.all() {
        domain.run_from(&record.queue, me, BATCH);
    }
    for record in domain.records.all() {
        drain(domain, &record.queue, me);
    }
    // The queues are empty of what was meant, but the last of it may still be running elsewhere.
    for record in domain.records.all() {
        record.wait_for_callbacks();
    }
}

/// Sees to it that everything that is in the queue now leaves it.
fn drain(domain: &Shared, queue: &Queue, me: &Record) {
    let goal = queue.goal(&domain.clock);
    let backoff = Backoff::new();
    while !queue.reached(goal) {
        let moved = domain.advance();
        if domain.run_from(queue, me, BATCH) == 0 && !moved {
            backoff.snooze();
        }
    }
}
