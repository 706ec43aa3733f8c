//! Records that nobody looks at, and owners that come back to them.

use std::sync::Arc;

use loom::thread;
use ptfrag::Rcu;

use super::{Value, World};
use crate::support::{at_length, check_scene};

/// Polls until the caller's next poll is one that looks round.
pub(super) fn count_polls(world: &World) {
    (0..7).for_each(|_| assert_eq!(world.domain.poll(), 0));
}

/// Has another thread park the record of this one, which is in no section.
fn park(world: &Arc<World>) {
    let other = Arc::clone(world);
    let parker = thread::spawn(move || {
        count_polls(&other);
        other.other.queue(&other.domain);
        other.poll(1);
    });
    parker.join().unwrap();
}

/// A reader comes, goes, and comes again while its record is being parked.
///
/// ```text
/// reader                          parker
/// enter; leave                    poll: mark the record's place; is the reader there? close the place
/// enter: is the place open?       unpublish; synchronize, past whoever is parked
/// look: published? read it        write the value
/// leave
/// ```
///
/// What is parked is not waited for, so nothing may be parked that reads. Two threads, at most 3 preemptions. Fails
/// without the fence between the mark and the look at the announcement.
#[test]
fn a_reader_against_parking() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        count_polls(&world);
        world.other.queue(&world.domain);
        let reader = thread::spawn(move || {
            other.look();
            other.look();
        });
        world.poll(1);
        world.retire_and_wait();
        reader.join().unwrap();
    });
}

/// One thread parks the reader, and another goes past it.
///
/// ```text
/// reader                  parker                          retirer
/// enter                   poll: mark the record's         unpublish; synchronize: the place is closed
/// look; read; leave         place; nobody there: close    write the value
/// ```
///
/// Three threads, at most 3 preemptions. Fails when the exchange that closes the place is not Release: what the reader did
/// then does not happen before whoever skips it.
#[test]
fn a_third_goes_past_the_parked() {
    check_scene(3, at_length(Some(3)), || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        count_polls(&world);
        world.other.queue(&world.domain);
        let reader = thread::spawn(move || one.look());
        let retirer = thread::spawn(move || two.retire_and_wait());
        world.poll(1);
        reader.join().unwrap();
        retirer.join().unwrap();
    });
}

/// A reader comes back to a record that is parked.
///
/// ```text
/// setup   the reader's record is parked
/// reader                          retirer
/// enter: announce; not open:      unpublish; synchronize
///   open; announce again          write the value
/// look: published? read it
/// leave
/// ```
///
/// Two threads, at most 4 preemptions. Fails when the reader does not announce its section again, with another fence,
/// and when it opens nothing.
#[test]
fn a_parked_reader_comes_back() {
    check_scene(2, Some(4), || {
        let world = World::new();
        drop(Rcu::read(&*world.domain));
        park(&world);
        let other = Arc::clone(&world);
        let retirer = thread::spawn(move || other.retire_and_wait());
        world.look();
        retirer.join().unwrap();
    });
}

/// A thread comes, and later queues something while its record is being parked, and does not come again: others find it.
///
/// ```text
/// queuer                          parker
/// enter; leave                    poll: mark the record's place; is its queue empty? close the place
/// call: open the place if it is
///   parked; push
/// then the parker goes on polling
/// ```
///
/// Two threads, at most 3 preemptions. Fails when the queue is not marked, so that whoever pushes later does not know,
/// when who finds the mark opens nothing, and when a place is closed that was opened since it was marked.
#[test]
fn a_head_against_parking() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        count_polls(&world);
        world.other.queue(&world.domain);
        let queuer = thread::spawn(move || {
            drop(Rcu::read(&*other.domain));
            other.retire();
        });
        world.poll(1);
        queuer.join().unwrap();
        world.poll(8);
        assert!(world.value.ran());
    });
}

/// A thread whose record is parked queues something while another one parks it again.
///
/// ```text
/// setup   the queuer's record is parked
/// queuer                          parker
/// call: take the mark away; open  poll: mark the record's place; is its queue empty? leave a mark; close
///   the place; push
/// then a third thread polls
/// ```
///
/// Two threads, at most 1 preemption. Fails when the queuer opens the place before it takes the mark away.
#[test]
fn a_head_against_parking_again() {
    check_scene(2, Some(1), || {
        let world = World::new();
        let another = Arc::new(Value::new());
        drop(Rcu::read(&*world.domain));
        let (one, mine) = (Arc::clone(&world), Arc::clone(&another));
        // Parks the record of this thread; the next poll of its own record is one that looks round again.
        let parker = thread::spawn(move || {
            count_polls(&one);
            one.other.queue(&one.domain);
            one.poll(8);
            assert!(one.other.ran());
            mine.queue(&one.domain);
        });
        parker.join().unwrap();
        let two = Arc::clone(&world);
        let parker = thread::spawn(move || two.poll(1));
        world.retire();
        parker.join().unwrap();
        let three = Arc::clone(&world);
        thread::spawn(move || three.poll(9)).join().unwrap();
        assert!(world.value.ran(), "nobody finds the head");
        drop((world, another));
    });
}
