//! Tickets of the built-in domain.

use std::sync::Arc;

use loom::thread;
use ptfrag::Rcu;

use super::{SPOILT, World};
use crate::support::check_scene;

/// A ticket in the place of a call: once it has elapsed nobody looks at the value any more.
///
/// ```text
/// reader                          retirer
/// advance; advance                unpublish; fence; ticket
/// enter; look; leave              (lets the reader go on)
/// advance; advance                elapsed? write the value
/// ```
///
/// Two threads, exhaustive. Fails with a race when a ticket is given without the fence, when it has
/// elapsed after one advance, and when the look at the epoch is not Acquire. The pause makes loom try what it takes for
/// no conflict: the reader between ticket and look.
#[test]
fn elapsed_after_a_section() {
    check_scene(2, None, || {
        let world = World::new();
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || {
            other.domain.synchronize();
            other.look();
            other.domain.synchronize();
        });
        world.unpublish();
        let ticket = (&*world.domain).ticket();
        assert!((&*world.domain).gave(ticket));
        thread::yield_now();
        if (&*world.domain).has_elapsed(ticket) {
            world.value.write(SPOILT);
        }
        reader.join().unwrap();
    });
}
