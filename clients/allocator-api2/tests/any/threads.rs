//! Many threads.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use ptfrag_client_allocator_api2::{Handle, InFragments};

use super::parts::{Counter, Parts, Small, small};
use crate::api::{boxed::Box, vec::Vec};

const THREADS: usize = 4;
const ROUNDS: usize = 5000;

#[test]
fn who_may_send_it() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<InFragments<&'static Small>>();
    shared::<InFragments<Arc<Small>>>();
    shared::<Vec<u8, InFragments<Small>>>();
    // A handle of its own goes where the collection goes; see `Handle` for one that is borrowed.
    sent::<Vec<u8, InFragments<Handle<'static, 16, 256, Parts>>>>();
    assert_eq!(size_of::<InFragments<&Small>>(), size_of::<&Small>());
}

/// Each sends what it makes to the next, which looks at it and drops it.
#[test]
fn boxes_are_dropped_where_they_were_not_made() {
    // At most 64 on the way to each, one in each hand, and a page that is on its way home for each thread.
    let (mm, source) = small(THREADS * (65_usize.div_ceil(16) + 2));
    let counter = Counter::default();
    thread::scope(|scope| {
        let (ways, ends): (std::vec::Vec<_>, std::vec::Vec<_>) =
            (0..THREADS).map(|_| mpsc::sync_channel(64)).unzip();
        for (me, inbox) in ends.into_iter().enumerate() {
            let outbox = ways[(me + 1) % THREADS].clone();
            let (mm, counter) = (&mm, &counter);
            scope.spawn(move || {
                let alloc = InFragments::new(mm);
                for round in 0..ROUNDS {
                    let boxed = Box::try_new_in((counter.value(me), [round; 8]), alloc);
                    outbox
                        .send(boxed.expect("there are enough pages"))
                        .expect("the next one listens");
                    let (value, rounds) = &*inbox.recv().expect("the one before sends as many");
                    assert_eq!((value.number + 1) % THREADS, me);
                    assert_eq!(*rounds, [round; 8]);
                }
            });
        }
    });
    assert_eq!((counter.dropped(), counter.alive()), (THREADS * ROUNDS, 0));
    assert_eq!(source.pages_out(), 0);
}

/// Vectors of some threads in an mm that others use through handles.
#[test]
fn with_and_without_handles() {
    let (mm, source) = small(600 * THREADS);
    let mm = Arc::new(mm);
    let workers = (0..THREADS).map(|me| {
        let mm = Arc::clone(&mm);
        thread::spawn(move || {
            fn work<A: crate::api::alloc::Allocator + Clone>(alloc: A, me: usize) {
                let mut vecs = std::collections::VecDeque::new();
                for round in 0..ROUNDS {
                    let mut vec = Vec::new_in(alloc.clone());
                    vec.extend((0..1 + round % 32).map(|at| me * round + at));
                    vecs.push_back((round, vec));
                    if vecs.len() > 10 + round % 20 {
                        let (then, vec) = vecs.pop_front().expect("there are some");
                        assert!(vec.iter().copied().eq(me * then..=me * then + then % 32));
                    }
                }
            }
            if me % 2 == 0 {
                work(InFragments::new(&Handle::new(&mm)), me);
            } else {
                work(InFragments::new(Arc::clone(&mm)), me);
            }
        })
    });
    workers
        .collect::<std::vec::Vec<_>>()
        .into_iter()
        .for_each(|worker| worker.join().expect("no panic"));
    assert_eq!(mm.pages(), 0);
    assert_eq!(source.pages_out(), 0);
}
