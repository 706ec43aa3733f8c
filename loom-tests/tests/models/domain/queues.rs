//! The queues of heads: who pushes, who takes, who waits for what is running.

use std::sync::Arc;

use loom::thread;
use ptfrag::Rcu;

use super::{ALIVE, SPOILT, World};
use crate::support::check_scene;

/// A thread that is not registered writes and queues; another runs the callback.
///
/// ```text
/// queuer                          poller
/// write the value                 poll: advance, take the orphans' stack, tag
/// push on the orphans' stack      poll: advance; poll: advance, callback writes the value
/// ```
///
/// What came before `call` happens before the callback. Two threads, exhaustive. Fails when the
/// push is not Release.
#[test]
fn a_callback_sees_its_queuers_writes() {
    check_scene(2, None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let poller = thread::spawn(move || other.poll(3));
        world.value.write(ALIVE);
        world.value.queue(&world.domain);
        poller.join().unwrap();
    });
}

/// Two threads poll, and fight over the queue.
///
/// ```text
/// setup   a head of the orphans is tagged: two advances more
/// first                           second
/// poll                            register; poll
/// try the queue's lock; ripen, or take the stack and tag; unlock; run what is ripe
/// ```
///
/// A callback runs once. Two threads, at most 3 preemptions. Fails when the queue's lock lacks its
/// Acquire or its Release, when records are found without Acquire or put in the list without
/// Release.
#[test]
fn two_threads_take_one_queue_over() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        // Not registered yet: the head goes to the orphans.
        world.retire();
        world.poll(1);
        let poller = thread::spawn(move || other.poll(1));
        world.poll(1);
        poller.join().unwrap();
    });
}

/// `barrier` while another thread may have taken the callback off and be about to run it.
///
/// ```text
/// setup   a head among the orphans
/// waiter                          poller
/// barrier: advance, take, run     poll: take the ripe head off
///   queue empty: is anybody       mark "running"; callback writes the value; unmark
///   running? wait for the mark
/// read the value: spoilt
/// ```
///
/// What `barrier` promises. Two threads, at most 3 preemptions. Fails when the barrier does not
/// wait for callbacks that run, and when the mark of running callbacks lacks its Release or its
/// Acquire.
#[test]
fn barrier_waits_for_a_running_callback() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        world.retire();
        let poller = thread::spawn(move || other.poll(1));
        world.domain.barrier();
        assert_eq!(world.value.read(), SPOILT);
        poller.join().unwrap();
    });
}

/// A thread takes over the queue of one that has let four epochs go by, while that one moves the
/// clock on and queues what it is still reading.
///
/// ```text
/// setup   the owner has queued a head, and polled four epochs ago
/// owner                           poller
/// synchronize: two epochs         poll: take the stack; tag
/// enter; unpublish; push          poll: advance; run what is ripe: the callback writes the value
/// read; leave
/// ```
///
/// Two threads, at most 3 preemptions. Fails when the tag is taken before the stack: it is then two
/// epochs older than the section.
#[test]
fn a_batch_is_tagged_last() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        drop(Rcu::read(&*world.domain));
        world.other.queue(&world.domain);
        world.domain.synchronize();
        world.domain.synchronize();
        let poller = thread::spawn(move || other.poll(2));
        world.domain.synchronize();
        let section = Rcu::read(&*world.domain);
        world.retire();
        assert_eq!(world.value.read(), ALIVE);
        drop(section);
        poller.join().unwrap();
    });
}
