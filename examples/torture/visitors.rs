//! Threads that come and go, and what they do when their thread-locals are destroyed.

use std::{cell::Cell, ptr, sync::atomic::Ordering, thread};

use fastrand::Rng;
use ptfrag::Rcu;

use crate::{
    pool::Pool,
    reader::{some_section, spin},
    scene::{Scene, Shift},
    signals::Post,
    tally::Tally,
};

/// Has one thread after the other read and retire. They alone use `pool`.
pub(crate) fn visitors(scene: &Scene, pool: &Pool, post: Option<&Post>, mut rng: Rng) {
    let mut shift = Shift::new(scene);
    while shift.go_on(&mut rng) {
        let visitor_rng = rng.fork();
        thread::scope(|scope| {
            let visitor = scope.spawn(|| visit(scene, pool, post, visitor_rng));
            // Joined by hand: the end of the scope does not wait for destructors of thread-locals.
            if visitor.join().is_err() {
                scene.end();
            }
        });
        scene.totals.threads.fetch_add(1, Ordering::Relaxed);
    }
}

fn visit(scene: &Scene, pool: &Pool, post: Option<&Post>, mut rng: Rng) {
    let leave_last = rng.bool();
    if leave_last {
        // Before the thread is known to the domain: thread-locals are destroyed in the opposite order.
        LAST.with(|farewell| farewell.set(scene, pool, &mut rng));
    }
    let taken = post.map(|post| post.take(scene, &mut rng));
    let mut tally = Tally::new(&scene.totals);
    for _ in 0..rng.u32(..200) {
        some_section(scene, &mut tally, &mut rng);
    }
    retire(scene, pool, &mut tally);
    drop(taken);
    if rng.bool() {
        FIRST.with(|farewell| farewell.set(scene, pool, &mut rng));
    }
}

fn retire(scene: &Scene, pool: &Pool, tally: &mut Tally<'_>) {
    if let Some(old) = pool.own().replace() {
        // SAFETY: it was just unlinked, and elements outlive the domain.
        unsafe { old.queue(&scene.domain) };
        tally.count_update();
    }
}

/// Reads and retires when it is destroyed.
struct Farewell {
    scene: Cell<*const Scene>,
    pool: Cell<*const Pool>,
    seed: Cell<u64>,
}

impl Farewell {
    const fn new() -> Self {
        Self { scene: Cell::new(ptr::null()), pool: Cell::new(ptr::null()), seed: Cell::new(0) }
    }

    fn set(&self, scene: &Scene, pool: &Pool, rng: &mut Rng) {
        self.scene.set(scene);
        self.pool.set(pool);
        self.seed.set(rng.u64(..));
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // SAFETY: null, or a scene that is there until the thread has been joined.
        let scene = unsafe { self.scene.get().as_ref() };
        // SAFETY: null, or one of the scene's.
        let pool = unsafe { self.pool.get().as_ref() };
        let (Some(scene), Some(pool)) = (scene, pool) else { return };
        let mut rng = Rng::with_seed(self.seed.get());
        let mut tally = Tally::new(&scene.totals);
        for _ in 0..rng.u32(..10) {
            let section = Rcu::read(&*scene.domain);
            let find = scene.find(&mut rng);
            retire(scene, pool, &mut tally);
            spin(rng.u32(..1000));
            tally.check(&find);
            drop(section);
        }
        some_section(scene, &mut tally, &mut rng);
    }
}

thread_local! {
    /// Destroyed before the domain's own.
    static FIRST: Farewell = const { Farewell::new() };
    /// Destroyed after them.
    static LAST: Farewell = const { Farewell::new() };
}
