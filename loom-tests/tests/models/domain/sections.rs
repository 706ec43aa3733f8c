//! Sections against callbacks, and against each other.

use std::sync::Arc;

use loom::{sync::atomic::Ordering, thread};
use ptfrag::Rcu;

use super::World;
use crate::support::{at_length, check_scene};

/// A section against unpublishing, a call and its callback, the section at any moment: before,
/// across or after.
///
/// ```text
/// setup   the value is published
/// reader                          retirer
/// enter                           unpublish; call
/// look: published? read it        poll: advance, tag; poll: advance; poll: advance, callback
/// leave                           writes the value
/// ```
///
/// What `Rcu::call` promises. Two threads, at most 4 preemptions. Fails without the fence in the
/// entry, and when the leaving store is Relaxed. Since a poll advances just before it tags, faults
/// of the tag or of the advance alone hide here; the models of grace periods are for them.
#[test]
fn a_section_against_a_callback() {
    check_scene(2, at_length(Some(4)), || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || other.look());
        world.retire();
        world.poll(3);
        reader.join().unwrap();
    });
}

/// Two sections in a row, so that the advance may find the second one's announcement where the
/// first one's was.
///
/// ```text
/// setup   the reader is in its first section and has found the value
/// reader                          retirer
/// read the value; leave           unpublish; tag
/// enter                           advance (fails while the reader shows an old epoch); advance
/// look: published? read; leave    write the value
/// ```
///
/// What `Rcu::call` promises. Two threads, exhaustive. Fails when the entering store is Relaxed:
/// a release sequence does not reach across it.
#[test]
fn a_section_after_another() {
    check_scene(2, None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let first = Rcu::read(&*world.domain);
        assert_eq!(world.published.load(Ordering::Relaxed), 1);
        let retirer = thread::spawn(move || other.retire_and_wait());
        assert_eq!(world.value.read(), super::ALIVE);
        drop(first);
        world.look();
        retirer.join().unwrap();
    });
}

/// A section that begins after the callback has been seen to run finds what came before the call.
///
/// ```text
/// reader                          retirer
/// load "it ran"                   unpublish; call
/// enter                           polls: advance, tag; advance; advance, callback: "it ran"
/// if it ran: not published
/// leave
/// ```
///
/// What `Rcu::call` promises to later sections. Two threads, at most 4 preemptions. Fails without
/// the fence in the entry.
#[test]
fn a_later_section_sees_what_came_before() {
    check_scene(2, at_length(Some(4)), || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || {
            let over = other.value.ran();
            let _section = Rcu::read(&*other.domain);
            if over {
                assert_eq!(other.published.load(Ordering::Relaxed), 0);
            }
        });
        world.retire();
        world.poll(3);
        reader.join().unwrap();
    });
}

/// A thread reads, retires and ends, while another polls: it takes the callback over, and perhaps
/// the record.
///
/// ```text
/// retirer                         poller
/// enter; look; leave              poll, three times: takes a neglected queue over
/// unpublish; call                 the callback writes the value
/// end: give the record up         enter, in a record of its own or the retirer's; look; leave
/// ```
///
/// Rule 16. Three threads, at most 4 preemptions. Fails when a record is given up without Release,
/// or claimed without Acquire.
#[test]
fn a_thread_ends_with_a_callback_pending() {
    check_scene(3, at_length(Some(4)), || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let retirer = thread::spawn(move || {
            one.look();
            one.retire();
        });
        let poller = thread::spawn(move || {
            two.poll(3);
            two.look();
        });
        retirer.join().unwrap();
        poller.join().unwrap();
    });
}

/// A reader, a thread that only retires, and a third that only runs.
///
/// ```text
/// reader                  retirer                 poller
/// enter                   unpublish; call         polls: advance, take over, tag; advance;
/// look; read; leave       end                     advance: the callback writes the value
/// ```
///
/// What `Rcu::call` promises, and rule 16. Three threads, at most 3 preemptions. Fails with a race on
/// the value when what is taken over is run without waiting for its grace period.
#[test]
fn three_threads() {
    check_scene(3, at_length(Some(3)), || {
        let world = World::new();
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let reader = thread::spawn(move || one.look());
        let poller = thread::spawn(move || two.poll(3));
        world.retire();
        reader.join().unwrap();
        poller.join().unwrap();
    });
}
