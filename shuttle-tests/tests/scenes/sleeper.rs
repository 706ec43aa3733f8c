//! A thread queues a page's head and then sleeps for ever, under the crate's own domain.

use shuttle::thread;

use crate::support::{Gate, Held, World, below, walks};

/// Six threads have fragments of the same two pages. One retires its own, which often makes it the
/// one that queues the heads, asks for callbacks a few times or not at all, and never does anything
/// again. The others retire theirs on these pages, and end or go on asking for callbacks. With the
/// sleeper still asleep, and nobody but one thread asking, everything that was retired has to come
/// back.
///
/// It fails when a queue is left alone as long as it has an owner, when epochs do not pass for heads
/// that somebody else queued, when an owner that polled once is never neglected again, and when what
/// a sleeper has taken off its queue's stack is out of the others' reach. It does not find a grace
/// period that is over too early, for nobody reads here; and what a sleeper inside a section, a
/// callback or a queue's lock holds up is another matter.
fn sleeper() {
    let world = World::<16>::with_real_domain(2);
    let mm = world.mm(false);
    let gate = Gate::new();
    thread::scope(|scope| {
        let (world, mm, gate) = (&world, &mm, &gate);
        let mut shares: Vec<_> = (0..6).map(|_| mm.alloc_some(4 + below(2))).collect();
        let own = shares.pop().unwrap_or_default();
        scope.spawn(move || {
            own.iter().for_each(Held::adopt);
            // Reading gives it a record, so that the heads lie in a queue that has an owner.
            drop(world.domain().read_section());
            own.into_iter().for_each(Held::retire);
            for _ in 0..below(4) {
                world.domain().attempt();
            }
            gate.pass();
        });
        let others: Vec<_> = shares
            .into_iter()
            .map(|share| {
                scope.spawn(move || {
                    share.iter().for_each(Held::adopt);
                    for held in share {
                        held.retire();
                        if below(4) == 0 {
                            world.domain().attempt();
                        }
                    }
                })
            })
            .collect();
        gate.wait_for_stop();
        others.into_iter().for_each(|other| drop(other.join()));
        world.poll_home("a thread that sleeps");
        gate.open();
    });
    mm.agree(true);
    drop(mm);
    world.finish();
}

walks!(real, 4_000, 5_000, super::sleeper);
