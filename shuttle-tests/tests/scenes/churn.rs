//! Threads churn mms that share a page source: four of them two, and eight of them three.

use shuttle::thread;

use crate::support::{Domain, Held, Place, Pool, World, below, pick, pick_some, walks};

/// What the threads share.
struct Scene<'a, const N: usize, const THREADS: usize, const MMS: usize> {
    domain: &'a Domain,
    mms: [Pool<'a, N>; MMS],
    /// For each mm, a `Slot` for each thread, which it alone changes, and two pointers for all.
    places: [Vec<Place<'a, N>>; MMS],
}

impl<'a, const N: usize, const THREADS: usize, const MMS: usize> Scene<'a, N, THREADS, MMS> {
    fn new(world: &'a World<N>) -> Self {
        let mms: [_; MMS] = std::array::from_fn(|_| world.mm(false));
        let places = |mm: &Pool<'a, N>| (0..THREADS + 2).map(|at| mm.place(at < THREADS)).collect();
        let places = mms.each_ref().map(places);
        Self { domain: world.domain(), mms, places }
    }

    /// A place that thread `me` may change.
    fn place(&self, mm: usize, me: usize) -> &Place<'a, N> {
        let at = match below(3) {
            0 => me,
            other => THREADS + other - 1,
        };
        &self.places[mm][at]
    }

    /// Looks at some places in one section, and at what it found there once more before it leaves;
    /// now and then it takes something away meanwhile.
    fn walk(&self, mm: usize, me: usize) {
        let guard = self.domain.read_section();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let place = &self.places[mm][below(THREADS + 2)];
            seen.extend(self.mms[mm].look(place, &guard));
            if below(6) == 0 {
                self.mms[mm].show(self.place(mm, me), None);
            }
        }
        seen.iter().for_each(|seen| self.mms[mm].look_again(seen));
    }

    fn work(&self, me: usize, ops: usize, mut held: [Vec<Held<'a, N>>; MMS]) {
        held.iter().flatten().for_each(Held::adopt);
        for _ in 0..ops {
            let at = below(MMS);
            let (mm, held) = (&self.mms[at], &mut held[at]);
            match below(12) {
                0 => held.extend(mm.alloc_some(1)),
                1 => held.extend(mm.alloc_some(1 + below(N))),
                2 => pick(held).into_iter().for_each(Held::give_back),
                3 => pick(held).into_iter().for_each(Held::retire),
                4 | 5 => Held::free_somehow(pick_some(held, 1 + below(N))),
                6 | 7 => mm.show(self.place(at, me), pick(held)),
                8 => self.walk(at, me),
                9 if below(4) == 0 => self.domain.synchronize(),
                _ => {
                    self.domain.attempt();
                }
            }
        }
        held.into_iter().for_each(Held::free_somehow);
    }
}

/// Takes, retires and gives back, one by one and in batches, published and not, with walks between
/// and grace periods at any time. Every thread begins with fragments of pages that the others have
/// fragments of too.
///
/// It fails when, in `word`: a retire goes to P even if P is not empty (reclaimed before a section
/// ended), or calls although the call is in flight (head queued twice); the end of a grace period
/// forgets to call for what came from X (pages that do not come home); the host is handed out
/// before the last; the list node goes into a fragment that is still waiting. In `free`: a callback
/// that found the lock held calls the hook again, or does not come again; a fragment given back
/// goes through P; the hook is called for X too; a page is put back before it is unlinked; the
/// lock is taken after the word was changed, or let go between the word and the list; the head is
/// let go before the page is home. In `take`: the host is taken without the lock. In `list`: a node
/// is not wiped. Only the PCT walk finds a page that is released with no last grace period (drained
/// by a callback or by a give-back), and the pages of two only find a taker that goes on, under the
/// lock, from the page that it saw before.
///
/// The crowd, eight threads in three mms, meets all this too, most of it in its first schedules; its
/// PCT walks also find a look at the list's first page outside a section, by which an mm hands out
/// a fragment of another.
///
/// With four threads it does not find that look, nor with any number what is wrong with the close
/// alone: `teardown` does.
///
/// In lanes it finds besides: a page that is fetched over to another lane by a store, under one of the
/// two locks, or with the old lane left in its word.
fn churn<const N: usize, const THREADS: usize, const MMS: usize>(world: World<N>, ops: usize) {
    let scene = Scene::<N, THREADS, MMS>::new(&world);
    thread::scope(|scope| {
        for me in 0..THREADS {
            let held = scene.mms.each_ref().map(|mm| mm.alloc_some(below(N / 2 + 1)));
            let scene = &scene;
            scope.spawn(move || scene.work(me, ops, held));
        }
    });
    if below(2) == 0 {
        scene.domain.drain();
    }
    for (mm, places) in scene.mms.iter().zip(&scene.places) {
        mm.agree(true);
        places.iter().for_each(|place| mm.show(place, None));
        mm.agree(true);
    }
    drop(scene);
    world.finish();
}

walks!(of_16, 10_000, 38_000, || super::churn::<16, 4, 2>(super::World::new(6), 8));
walks!(of_2, 14_000, 40_000, || super::churn::<2, 4, 2>(super::World::new(6), 8));
walks!(crowd, 3_000, 14_000, || super::churn::<16, 8, 3>(super::World::new(6), 5));
walks!(in_lanes, 5_000, 16_000, || super::churn::<4, 4, 2>(super::World::new(6).lanes(4), 8));
