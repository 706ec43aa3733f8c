//! Threads that read.

use std::{hint, thread, time::Duration};

use fastrand::Rng;
use ptfrag::Rcu;

use crate::{
    pool::Pool,
    scene::{Scene, Shift},
    signals::Post,
    stores::SlowStores,
    tally::Tally,
};

/// Sections between two looks at the time.
const ROUND: usize = 256;

pub(crate) fn spin(times: u32) {
    (0..times).for_each(|_| hint::spin_loop());
}

/// A reader's work: one round after the other, in none of which it looks at the time.
fn rounds(
    scene: &Scene,
    post: Option<&Post>,
    mut rng: Rng,
    mut round: impl FnMut(&mut Tally<'_>, &mut Rng),
) {
    let mut tally = Tally::new(&scene.totals);
    let mut shift = Shift::new(scene);
    let _post = post.map(|post| post.take(scene, &mut rng));
    while shift.go_on(&mut rng) {
        round(&mut tally, &mut rng);
        tally.flush();
    }
}

/// A section with nothing else in it, held for so long.
fn plain_section(scene: &Scene, pool: &Pool, hold: u32, tally: &mut Tally<'_>) {
    let section = Rcu::read(&*scene.domain);
    let find = pool.find();
    spin(hold);
    tally.check(&find);
    drop(section);
}

/// One section after the other, with as little as possible in between.
pub(crate) fn tight(scene: &Scene, post: Option<&Post>, rng: Rng) {
    rounds(scene, post, rng, |tally, rng| {
        let pool = scene.any_pool(rng);
        let hold = rng.u32(..4);
        (0..ROUND).for_each(|_| plain_section(scene, pool, hold, tally));
    });
}

/// Readers whose announcements come late to other processors, unless there is a fence.
pub(crate) fn behind_stores(scene: &Scene, post: Option<&Post>, rng: Rng) {
    let stores = SlowStores::new();
    rounds(scene, post, rng, |tally, rng| {
        for _ in 0..ROUND / 4 {
            let pool = scene.any_pool(rng);
            let hold = rng.u32(..64);
            stores.make(40, rng);
            plain_section(scene, pool, hold, tally);
        }
    });
}

/// Readers that do this and that.
pub(crate) fn mixed(scene: &Scene, post: Option<&Post>, rng: Rng) {
    rounds(scene, post, rng, |tally, rng| {
        (0..ROUND).for_each(|_| some_section(scene, tally, rng));
    });
}

/// A section of either kind, in which this or that happens.
pub(crate) fn some_section(scene: &Scene, tally: &mut Tally<'_>, rng: &mut Rng) {
    if rng.bool() {
        let guard = scene.domain.read();
        inside(scene, tally, rng);
        drop(guard);
    } else {
        let section = Rcu::read(&*scene.domain);
        inside(scene, tally, rng);
        drop(section);
    }
}

fn inside(scene: &Scene, tally: &mut Tally<'_>, rng: &mut Rng) {
    let find = scene.find(rng);
    match rng.u32(..4096) {
        0..3000 => {}
        3000..3700 => spin(rng.u32(..200)),
        3700..3900 => nested(scene, tally, rng),
        3900..4000 => overlapping(scene, tally, rng),
        4000..4060 => thread::yield_now(),
        4060..4094 => spin(rng.u32(..5000)),
        _ => thread::sleep(Duration::from_micros(rng.u64(..3000))),
    }
    tally.check(&find);
}

fn nested(scene: &Scene, tally: &mut Tally<'_>, rng: &mut Rng) {
    let guard = scene.domain.read();
    let find = scene.find(rng);
    let section = Rcu::read(&*scene.domain);
    spin(rng.u32(..100));
    drop(section);
    tally.check(&find);
    drop(guard);
}

/// The second one is left after the first one.
fn overlapping(scene: &Scene, tally: &mut Tally<'_>, rng: &mut Rng) {
    let first = Rcu::read(&*scene.domain);
    let find = scene.find(rng);
    let second = scene.domain.read();
    drop(first);
    spin(rng.u32(..100));
    tally.check(&find);
    drop(second);
}
