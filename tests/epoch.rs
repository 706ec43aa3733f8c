//! crossbeam-epoch as RCU.

#![cfg(all(unix, feature = "crossbeam-epoch"))]

use std::thread;

use ptfrag::{Embed, Epoch, Mm, Region, SpinLock, check};

struct Parts;

impl Embed for Parts {
    type Rcu = Epoch;
    type Source = Region;
    type Lock = SpinLock;
    type Hooks = ();
}

/// One test: they share the collector, and so the heads that are ready.
#[test]
fn an_mm_over_the_default_collector() {
    check::rcu(Epoch, || {
        Epoch::poll();
    });

    let region = Region::new(256).unwrap();
    let mm = Mm::<16, 256, Parts>::new_in(Epoch, region.clone(), ());
    let slots: Vec<_> = (0..8).map(|_| mm.slot()).collect();
    thread::scope(|scope| {
        for writer in 0..2_u8 {
            let (mm, slots) = (&mm, &slots);
            scope.spawn(move || {
                for round in 0..4000_usize {
                    let Ok(mut frag) = mm.alloc() else {
                        Epoch::poll();
                        continue;
                    };
                    frag.fill(round as u8);
                    slots[(round + usize::from(writer)) % 8].publish(frag);
                    if round % 32 == 0 {
                        Epoch::poll();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20_000 {
                let guard = crossbeam_epoch::pin();
                for slot in &slots {
                    if let Some(bytes) = slot.load(&guard) {
                        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                    }
                }
            }
        });
    });
    drop((slots, mm));
    while region.pages_out() != 0 {
        Epoch::poll();
    }
}
