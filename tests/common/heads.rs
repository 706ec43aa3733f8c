//! Heads that the built-in domain's tests queue.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    mem::offset_of,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, Rcu, RcuHead};

/// Something to reclaim: a head, and what its callback does.
#[repr(C)]
struct Node {
    head: RcuHead,
    action: Box<dyn Fn(NonNull<RcuHead>) + Send>,
}

/// Frees the node after running its action.
unsafe extern "C" fn run(head: NonNull<RcuHead>) {
    const { assert!(offset_of!(Node, head) == 0) };
    // SAFETY: `queue` leaked the node for its callback, and the head is its first field.
    let node = unsafe { Box::from_raw(head.cast::<Node>().as_ptr()) };
    (node.action)(head);
}

/// Queues a head whose callback does this.
pub fn queue(domain: &Domain, action: impl Fn(NonNull<RcuHead>) + Send + 'static) {
    let node = Box::leak(Box::new(Node { head: RcuHead::new(), action: Box::new(action) }));
    // SAFETY: the node is the callback's alone.
    unsafe { domain.call(NonNull::from(node).cast(), run) };
}

/// Queues a head whose callback counts.
pub fn count(domain: &Domain, ran: &Arc<AtomicUsize>) {
    let ran = Arc::clone(ran);
    queue(domain, move |_| {
        ran.fetch_add(1, Ordering::Relaxed);
    });
}

pub fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

/// Polls often enough for anything that is not held up, and returns how many callbacks ran.
pub fn settle(domain: &Domain) -> usize {
    (0..100).map(|_| domain.poll()).sum()
}
