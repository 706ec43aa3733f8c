//! Signals that hit threads anywhere, and whose handler reads and retires.

use std::{
    cell::Cell,
    mem, process, ptr,
    sync::atomic::{AtomicI32, Ordering, compiler_fence},
    thread,
    time::Duration,
};

use fastrand::Rng;
use ptfrag::Rcu;

use crate::{pool::Pool, reader::spin, scene::Scene, tally::Tally};

const SIGNAL: i32 = libc::SIGUSR1;

/// Where signals are sent to: one thread at a time, or none.
pub(crate) struct Post {
    thread: AtomicI32,
}

/// What the handler finds.
struct Context {
    scene: *const Scene,
    seed: Cell<u64>,
}

thread_local! {
    static CONTEXT: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

/// A thread gets signals until this is dropped.
pub(crate) struct Taken<'a> {
    post: &'a Post,
    _context: Box<Context>,
}

impl Post {
    pub(crate) fn new() -> Self {
        Self { thread: AtomicI32::new(0) }
    }

    /// Has signals sent to the calling thread.
    pub(crate) fn take<'a>(&'a self, scene: &'a Scene, rng: &mut Rng) -> Taken<'a> {
        // The handler's sections are not to be the thread's first.
        drop(Rcu::read(&*scene.domain));
        let context = Box::new(Context { scene, seed: Cell::new(rng.u64(..)) });
        CONTEXT.set(&raw const *context);
        // SAFETY: it has no conditions.
        let thread = unsafe { libc::gettid() };
        self.thread.store(thread, Ordering::Release);
        Taken { post: self, _context: context }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.post.thread.store(0, Ordering::Relaxed);
        CONTEXT.set(ptr::null());
        // What a handler uses goes only now.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Does what a handler may: it opens sections, and queues heads.
extern "C" fn on_signal(_: i32) {
    // SAFETY: null, or set by `take` and there until it is null again.
    let Some(context) = (unsafe { CONTEXT.get().as_ref() }) else { return };
    // SAFETY: the thread has one.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: `take` borrows it.
    let scene = unsafe { &*context.scene };
    let mut rng = Rng::with_seed(context.seed.get());
    let mut tally = Tally::new(&scene.totals);
    scene.totals.signals.fetch_add(1, Ordering::Relaxed);
    if rng.bool() {
        pause(&mut rng);
        retire(scene, &mut tally);
    }
    let outer = Rcu::read(&*scene.domain);
    let find = scene.find(&mut rng);
    let inner = rng.bool().then(|| Rcu::read(&*scene.domain));
    pause(&mut rng);
    drop(inner);
    if rng.bool() {
        retire(scene, &mut tally);
        pause(&mut rng);
    }
    tally.check(&find);
    drop(outer);
    tally.flush();
    context.seed.set(rng.u64(..));
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn pause(rng: &mut Rng) {
    match rng.u32(..16) {
        0..6 => {}
        6..12 => spin(rng.u32(..500)),
        _ => thread::yield_now(),
    }
}

/// The pool of all handlers, who may be in each other's way.
fn pool(scene: &Scene) -> Option<&Pool> {
    scene.pools.last()
}

fn retire(scene: &Scene, tally: &mut Tally<'_>) {
    let Some(mut owner) = pool(scene).and_then(Pool::try_own) else { return };
    if let Some(old) = owner.replace() {
        // SAFETY: it was just unlinked, and elements outlive the domain.
        unsafe { old.queue(&scene.domain) };
        tally.count_update();
    }
}

/// Sends signals to one post or another until the end.
pub(crate) fn send(scene: &Scene, posts: &[Post], mut rng: Rng) {
    // SAFETY: all zeros are a valid action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(i32) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler does what handlers may.
    assert_eq!(unsafe { libc::sigaction(SIGNAL, &action, ptr::null_mut()) }, 0);
    let process = process::id() as i32;
    while !scene.is_over() {
        let thread = posts[rng.usize(..posts.len())].thread.load(Ordering::Acquire);
        if thread != 0 {
            // SAFETY: a thread of this process, or none; one that has left its post ignores it.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
        }
        thread::sleep(Duration::from_micros(rng.u64(..100)));
    }
}
