//! Readers that make no fence. Whoever needs theirs asks each [`Processor`] for one, which comes wherever it makes a
//! difference.

use std::sync::Arc;

use loom::thread;
use ptfrag::{OwnedDomain, Processor, Rcu};

use super::{ALIVE, World, parking::count_polls};
use crate::support::check_scene;

fn world() -> Arc<World> {
    World::with(OwnedDomain::asymmetric())
}

/// Two threads, on a processor each: one that is started, and this one.
fn play(world: &Arc<World>, started: fn(&World), own: fn(&World)) {
    let other = Arc::clone(world);
    let thread = thread::spawn(move || {
        let _running = Processor::enter(0);
        started(&other);
    });
    let running = Processor::enter(1);
    own(world);
    drop(running);
    thread.join().unwrap();
}

/// [`World::look`] in a section that is long enough for the fences of a grace period, and for one more.
fn look(world: &World) {
    let section = Rcu::read(&*world.domain);
    if world.finds_it() {
        (0..4).for_each(|_| Processor::between());
        assert_eq!(world.value.read(), ALIVE);
    }
    drop(section);
    Processor::between();
}

/// A section against a wait, also of a thread that registers meanwhile.
///
/// ```text
/// reader                          retirer
/// enter; no fence                 unpublish; tag
/// look: published? read it        advance three times, each with a fence in the reader as well
/// leave                           write the value
/// ```
///
/// Two threads, at most 3 preemptions. Fails when the advance makes a fence of its own thread only.
#[test]
fn a_section_without_a_fence() {
    check_scene(2, Some(3), || play(&world(), look, World::retire_and_wait));
}

/// A reader that has moved the clock on enters in the new epoch, and misses what came before the tag.
///
/// ```text
/// setup   the reader has a record
/// reader                          retirer
/// tag; advance three times        unpublish; tag: the old epoch, and one more
/// enter: the new epoch            advance
/// look: published? read it        write the value
/// leave
/// ```
///
/// Two threads, at most 2 preemptions. Fails when the tag is the epoch, as it is where readers make fences.
#[test]
fn a_section_in_the_next_epoch() {
    check_scene(2, Some(2), || {
        let world = world();
        drop(Rcu::read(&*world.domain));
        play(&world, World::retire_and_wait, |world| {
            world.domain.synchronize();
            look(world);
        });
    });
}

/// A reader comes, goes, and comes again while its record is being parked: the handshake of the place, without the
/// reader's fence.
///
/// Two threads, at most 2 preemptions. Fails when who parks makes a fence of its own thread only.
#[test]
fn a_reader_without_a_fence_against_parking() {
    check_scene(2, Some(2), || {
        let world = world();
        count_polls(&world);
        world.other.queue(&world.domain);
        let twice = |world: &World| (0..2).for_each(|_| look(world));
        play(&world, twice, |world| {
            world.poll(1);
            world.retire_and_wait();
        });
    });
}
