//! Grace periods: the tag, the advances, and who ends them.

use std::sync::Arc;

use loom::thread;
use ptfrag::Rcu;

use super::World;
use crate::support::{at_length, check_scene};

/// The reader itself ends the grace period, which the other thread then only finds over.
///
/// ```text
/// reader                          retirer
/// enter; look; leave              unpublish; tag
/// tag; advance; advance           find the epoch two further, without an advance of one's own
///                                 write the value
/// ```
///
/// Two threads, exhaustive. Fails when the load of the epoch before ripening, or at the end of a
/// wait, is not Acquire.
#[test]
fn a_reader_ends_the_grace_period() {
    check_scene(2, at_length(None), || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || {
            other.look();
            other.domain.synchronize();
        });
        world.retire_and_wait();
        reader.join().unwrap();
    });
}

/// `synchronize` in the place of a callback: the tag just before the advances.
///
/// ```text
/// reader                          retirer
/// enter                           unpublish; tag
/// look: published? read it        advance; advance (each fails while an older epoch is shown)
/// leave                           write the value
/// ```
///
/// What `synchronize` promises. Two threads, exhaustive. Fails with a grace period of one advance,
/// without the acquire fence in the advance, and without the fence in the entry.
#[test]
fn synchronize_waits_for_a_section() {
    check_scene(2, None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || other.look());
        world.retire_and_wait();
        reader.join().unwrap();
    });
}

/// A reader that has moved the clock on enters, and another thread queues and tags without having
/// advanced: an old tag would be ripe at once.
///
/// ```text
/// setup   the reader has a record
/// reader                          retirer
/// tag; advance; advance           unpublish; call
/// enter                           barrier: take the stack, tag: the old epoch?
/// look: published? read it        run what is ripe: the callback writes the value
/// leave
/// ```
///
/// Two threads, at most 3 preemptions. Fails without the fence before the tag, with an acquire
/// fence there, and with a grace period of one advance.
#[test]
fn a_tag_is_not_older_than_its_heads() {
    check_scene(2, Some(3), || {
        let world = World::new();
        let other = Arc::clone(&world);
        // Registering later would tell the retirer of the new epoch.
        drop(Rcu::read(&*world.domain));
        let retirer = thread::spawn(move || {
            other.retire();
            other.domain.barrier();
        });
        world.domain.synchronize();
        world.look();
        retirer.join().unwrap();
    });
}

/// One thread reads, one waits, and one that does neither ends the grace period.
///
/// ```text
/// setup   a head among the orphans, so that there is something to poll for
/// reader                  retirer                 poller
/// put a record in the     unpublish; tag          register; poll: advance: fence, look at
///   list; enter           advance, or find it       the records
/// look; read; leave       done; write the value
/// ```
///
/// Three threads, at most 3 preemptions. Fails without the full fence in the advance, and when the
/// advance's exchange is not Release. It also fails when the advance loads the head of the list of
/// records before its fence, and so misses a reader that registers in between; that takes the third
/// preemption.
#[test]
fn a_third_ends_the_grace_period() {
    check_scene(3, at_length(Some(3)), || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        world.other.queue(&world.domain);
        let poller = thread::spawn(move || one.poll(1));
        let retirer = thread::spawn(move || two.retire_and_wait());
        world.look();
        poller.join().unwrap();
        retirer.join().unwrap();
    });
}

/// As above, but a third moves the clock on twice in a row, with no full fence in between but the
/// advance's own.
///
/// ```text
/// setup   a head among the orphans, tagged: two more epochs go by without another tag
/// reader                  retirer                 poller
/// enter                   unpublish; tag          poll: advance
/// look; read; leave       find it done, or        poll: advance
///                         advance; write
/// ```
///
/// Three threads, at most 3 preemptions. Fails when the advance's full fence is an acquire and
/// release fence: its second look at the records then need not come after its first exchange, and
/// misses a reader that the retirer was too late for.
#[test]
fn a_third_moves_the_clock_twice() {
    check_scene(3, at_length(Some(3)), || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        world.other.queue(&world.domain);
        world.poll(1);
        let poller = thread::spawn(move || one.poll(2));
        let retirer = thread::spawn(move || two.retire_and_wait());
        world.look();
        poller.join().unwrap();
        retirer.join().unwrap();
    });
}
