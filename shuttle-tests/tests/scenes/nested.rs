//! Sections inside sections, with takes, retires and gifts back in all of them.

use std::array;

use shuttle::thread;

use crate::support::{Domain, Held, Place, Pool, Seen, World, below, pick, pick_some, walks};

const THREADS: usize = 8;
const MMS: usize = 3;
const DEPTH: usize = 3;

struct Scene<'a> {
    domain: &'a Domain,
    mms: [Pool<'a, 16>; MMS],
    places: [Vec<Place<'a, 16>>; MMS],
}

impl<'a> Scene<'a> {
    /// Enters a section, works in it, enters others from there, and checks at the end of each what
    /// was seen since the outermost one began.
    fn nest(
        &self,
        depth: usize,
        held: &mut [Vec<Held<'a, 16>>; MMS],
        seen: &mut Vec<(usize, Seen)>,
    ) {
        let guard = self.domain.read_section();
        for _ in 0..2 {
            let at = below(MMS);
            let (mm, held) = (&self.mms[at], &mut held[at]);
            let places = &self.places[at];
            let place = &places[below(places.len())];
            seen.extend(mm.look(place, &guard).map(|one| (at, one)));
            match below(6) {
                0 => held.extend(mm.alloc_some(1 + below(3))),
                1 => pick(held).into_iter().for_each(Held::retire),
                2 => Held::free_somehow(pick_some(held, 1 + below(4))),
                3 => mm.show(place, pick(held)),
                _ => {}
            }
        }
        if depth > 1 && below(3) != 0 {
            self.nest(depth - 1, held, seen);
        }
        seen.iter().for_each(|(at, one)| self.mms[*at].look_again(one));
    }

    fn work(&self, mut held: [Vec<Held<'a, 16>>; MMS]) {
        held.iter().flatten().for_each(Held::adopt);
        for _ in 0..2 {
            self.nest(DEPTH, &mut held, &mut Vec::new());
            self.domain.attempt();
        }
        held.into_iter().for_each(Held::free_somehow);
    }
}

/// Eight threads enter sections up to three deep, look at what is published in three mms, and take,
/// retire, publish and give back inside; what one saw in an inner section stays until it has left
/// the outermost one. Grace periods are tried whenever a thread is outside.
///
/// Under the crate's own domain it fails when leaving an inner section ends the outer one (reclaimed
/// before a section ended), when the end of the outermost one is not announced, and when a grace
/// period is taken to be over one epoch early, or as soon as it has begun. Entering an inner
/// section must not announce a newer epoch: only the random and the uniform walk find that. With
/// either RCU it fails when a retire goes to P even if P is not empty. It does not find what takes
/// the end of an mm, nor a look at the list's first page outside a section.
fn nested(world: World<16>) {
    let mms: [_; MMS] = array::from_fn(|_| world.mm(false));
    let places = mms.each_ref().map(|mm| (0..3).map(|_| mm.place(false)).collect::<Vec<_>>());
    let scene = Scene { domain: world.domain(), mms, places };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let held = scene.mms.each_ref().map(|mm| mm.alloc_some(1 + below(3)));
            let scene = &scene;
            scope.spawn(move || scene.work(held));
        }
    });
    scene.domain.drain();
    for (mm, places) in scene.mms.iter().zip(&scene.places) {
        mm.agree(true);
        places.iter().for_each(|place| mm.show(place, None));
    }
    drop(scene);
    world.finish();
}

walks!(model, 3_000, 10_000, || super::nested(super::World::new(6)));
walks!(real, 2_000, 6_000, || super::nested(super::World::with_real_domain(6)));
