//! A thread stops for ever with an mm's lock held.

use shuttle::{
    sync::{Arc, Mutex},
    thread,
};

use crate::support::{
    Gate, Held, Place, Pool, Stop, World, below, pick, pick_some, stop_in_next_hold, walks,
};

const WORKERS: usize = 5;

/// An mm in which all that needs no list change can be done: a full page, one with a single used
/// fragment, and in front of the list one of which 12 fragments are free.
struct Ready<'a> {
    mm: Pool<'a, 16>,
    /// All of the full page's, to be retired.
    full: Vec<Held<'a, 16>>,
    /// The last one of the second page.
    last: Held<'a, 16>,
    /// Four of the first page, so that it is never all free.
    kept: Vec<Held<'a, 16>>,
}

impl<'a> Ready<'a> {
    fn new(mm: Pool<'a, 16>) -> Self {
        let full = mm.alloc_some(16);
        let (mut second, mut kept) = (mm.alloc_some(16), mm.alloc_some(16));
        let Some(last) = second.pop() else { unreachable!("the source has pages") };
        Held::give_back_all(second);
        Held::give_back_all(pick_some(&mut kept, 12));
        Self { mm, full, last, kept }
    }
}

/// The thread that stops: before it lists the full page, before or after it takes the second page
/// off the list for good, or at the beginning of a close.
fn holder<'a>(mm: &Pool<'a, 16>, last: Held<'a, 16>, of_full: Held<'a, 16>, gate: Arc<Gate>) {
    last.adopt();
    of_full.adopt();
    match below(4) {
        0 => {
            stop_in_next_hold(Stop::Entering, gate);
            of_full.give_back();
            last.give_back();
        }
        1 => {
            stop_in_next_hold(Stop::Entering, gate);
            mm.close();
            last.give_back();
            of_full.retire();
        }
        stop => {
            let stop = if stop == 2 { Stop::Entering } else { Stop::Leaving };
            stop_in_next_hold(stop, gate);
            last.give_back();
            of_full.retire();
        }
    }
}

/// Everything but list changes in the mm whose lock is held, and everything in another.
fn work<'a>(
    world: &'a World<16>,
    mm: &Pool<'a, 16>,
    place: &Place<'a, 16>,
    mut full: Vec<Held<'a, 16>>,
    other: &Mutex<Option<Pool<'a, 16>>>,
    others: &Pool<'a, 16>,
) {
    full.iter().for_each(Held::adopt);
    let mut takes = 2;
    let mut held = Vec::new();
    for _ in 0..7 {
        match below(8) {
            0 | 1 => pick(&mut full).into_iter().for_each(Held::retire),
            2 if takes > 0 => {
                takes -= 1;
                held.extend(mm.alloc_some(1));
            }
            3 => Held::free_somehow(pick_some(&mut held, 1)),
            4 => mm.show(place, pick(&mut full)),
            5 => {
                let guard = world.domain().read_section();
                let seen = mm.look(place, &guard);
                Held::retire_all(pick_some(&mut full, 2));
                seen.iter().for_each(|seen| mm.look_again(seen));
            }
            6 => {
                let some = others.alloc_some(1 + below(20));
                Held::free_somehow(some);
                if below(4) == 0 {
                    drop(other.lock().map(|mut other| other.take()));
                }
            }
            _ => drop(world.domain().attempt()),
        }
    }
    Held::free_somehow(held);
    Held::retire_all(full);
}

/// One thread gets an mm's lock and never leaves it; five others do whatever needs no list change
/// there (they retire, publish and look, take and give back on a page with enough free fragments),
/// and whatever they like in two other mms, one of which goes meanwhile. All of them ask for
/// callbacks, and so come by the callbacks of the mm whose lock is held. With the holder still
/// stopped, all five end, the others' pages come home, and in the mm itself `reclaim` has been called
/// for what was pending (what is next in line on the full page has to wait: its turn comes when the
/// word changes, which takes the lock). Then the holder goes on, and nothing is lost.
///
/// It fails, by a schedule that does not end, when a callback waits for the lock, or a retire, a
/// take or a gift back takes it without need. It fails when a callback that found the lock held
/// calls the hook again, or does not come again, and when `reclaim` is called for but the first
/// fragment of a mask. Under the crate's own domain the PCT walks find a grace period that is over
/// too early. It does not find what needs two threads at the list.
fn stopped(world: World<16>) {
    let Ready { mm, mut full, last, kept } = Ready::new(world.mm(false));
    let (other, others) = (world.mm(false), world.mm(false));
    Held::retire_all(other.alloc_some(1 + below(20)));
    let place = mm.place(false);
    let gate = Gate::new();
    thread::scope(|scope| {
        let (world, mm, others, place) = (&world, &mm, &others, &place);
        let Some(of_full) = full.pop() else { unreachable!("a full page") };
        let stopped = gate.clone();
        scope.spawn(move || holder(mm, last, of_full, stopped));
        gate.wait_for_stop();
        let other = Mutex::new(Some(other));
        thread::scope(|scope| {
            let other = &other;
            for _ in 0..WORKERS {
                let share = pick_some(&mut full, 3);
                scope.spawn(move || work(world, mm, place, share, other, others));
            }
        });
        drop(other);
        mm.show(place, None);
        others.close();
        world.poll_until(|| world.at_home() + 3 == world.total(), "a lock that another mm holds");
        world.poll_until(|| mm.unreclaimed() == 0, "the lock before they call the hook");
        gate.open();
    });
    kept.into_iter().for_each(Held::retire);
    drop((mm, others));
    world.finish();
}

walks!(model, 4_000, 5_000, || super::stopped(super::World::new(8)));
walks!(real, 3_000, 4_000, || super::stopped(super::World::with_real_domain(8)));
