//! What the models share: a stage on which one execution plays, an embedder whose parts loom can
//! watch, and the moves of a model (take, retire, give back) with an oracle beside them.
//!
//! Two kinds of check work together. What loom sees (cells and atomics) shows a missing
//! happens-before edge as a race. What the oracle keeps in plain memory, in the order in which the
//! execution really ran, shows a wrong answer: a fragment handed out twice, another mm's fragment,
//! a reclaim too many, a page or an mm's head that never came home.

use std::{marker::PhantomData, ops::Deref, ptr::NonNull};

use loom::{cell::UnsafeCell, thread::JoinHandle};
use ptfrag::{Embed, Frag, Mm, RawLock, Rcu};

mod lock;
mod pages;
mod rcu;
mod report;
mod shadow;
mod stage;

pub use lock::Watched;
pub use pages::{Hooked, Pages};
pub use rcu::{ModelRcu, Telling, grace_period, try_grace_period, try_grace_period_elsewhere};
pub use report::{at_length, check, check_planned, check_scene};
pub use shadow::Shadow;
pub use stage::Stage;

/// Bytes of a fragment: room for loom's cell around a list node.
pub const SIZE: usize = 64;

/// A list node, as the crate writes it into a host.
pub type Node = [*mut u8; 2];

/// The embedder of the models, for pages of `PAGE` bytes.
pub struct Env<const PAGE: usize, R = ModelRcu, L = Watched>(PhantomData<(R, L)>);

impl<const PAGE: usize, R: Rcu, L: RawLock + 'static> Embed for Env<PAGE, R, L> {
    type Rcu = R;
    type Source = Pages<PAGE>;
    type Lock = L;
    type Hooks = Hooked;
}

/// An mm of pages of two fragments.
pub type Mm2 = Mm<2, SIZE, Env<{ 2 * SIZE }>>;
/// An mm of pages of four fragments.
pub type Mm4 = Mm<4, SIZE, Env<{ 4 * SIZE }>>;

/// An mm of pages of `N` fragments, whose RCU gives tickets.
pub type Told<const N: usize, const PAGE: usize> = Mm<N, SIZE, Env<PAGE, Telling>>;

/// Plays `scene` in every order: all of them with two threads, those of at most three preemptions
/// with three. Afterwards, in each, all calls come back, and every page and head must be home.
pub fn explore<const PAGE: usize>(
    threads: usize,
    pages: usize,
    scene: impl Fn() + Send + Sync + 'static,
) {
    explore_within::<PAGE, _>((threads > 2).then_some(3), threads, pages, scene);
}

/// Plays `scene` in every order of at most `bound` preemptions.
pub fn explore_within<const PAGE: usize, S: Fn() + Send + Sync + 'static>(
    bound: Option<usize>,
    threads: usize,
    pages: usize,
    scene: S,
) {
    check::<S>(threads, bound, move || {
        let stage = Stage::set(threads, pages, PAGE);
        scene();
        stage.strike();
    });
}

/// Starts a thread that has its own reader slot.
pub fn spawn<T: 'static>(play: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    let slot = Stage::with(Stage::next_slot);
    loom::thread::spawn(move || {
        Stage::with(|stage| stage.register(slot));
        play()
    })
}

/// An mm whose head lies on the stage.
pub fn mm<const N: usize, const PAGE: usize>() -> Mm<N, SIZE, Env<PAGE>> {
    mm_on(ModelRcu)
}

/// The same, with an RCU that gives tickets.
pub fn told<const N: usize, const PAGE: usize>() -> Told<N, PAGE> {
    mm_on(Telling::new())
}

/// The same, on an RCU of the caller's, and with a lock that its type names.
pub fn mm_on<const N: usize, const PAGE: usize, R: Rcu, L: RawLock + 'static>(
    rcu: R,
) -> Mm<N, SIZE, Env<PAGE, R, L>> {
    let (place, number) = Stage::with(|stage| (stage.place(), stage.next_mm()));
    // SAFETY: the place is fresh and stays until the execution is over.
    unsafe { Mm::new_at(place, Stage::disposed, rcu, Pages::new(number), Hooked::new()) }
}

/// Takes a fragment and writes to it; it must be a page's of mm number `number`.
pub fn take<const N: usize, E: Embed>(
    mm: &Mm<N, SIZE, E>,
    number: usize,
) -> Option<Frag<N, SIZE, E>> {
    let frag = mm.alloc().ok()?;
    Stage::with(|stage| stage.taken(frag.as_ptr(), number));
    write(frag.as_ptr());
    Some(frag)
}

/// Retires a fragment.
pub fn retire<const N: usize, E: Embed>(frag: Frag<N, SIZE, E>) {
    Stage::with(|stage| stage.retired(frag.as_ptr()));
    frag.retire();
}

/// Gives a fragment back.
pub fn give_back<const N: usize, E: Embed>(frag: Frag<N, SIZE, E>) {
    Stage::with(|stage| stage.given_back(frag.as_ptr()));
    frag.give_back();
}

/// Gives fragments back in one go.
pub fn give_back_all<const N: usize, E: Embed>(frags: Vec<Frag<N, SIZE, E>>) {
    frags.iter().for_each(|frag| Stage::with(|stage| stage.given_back(frag.as_ptr())));
    Frag::give_back_all(frags);
}

/// The end of a scene in which a page of `a`, mm number 0, is on its way home under a looker: if a
/// grace period can pass it goes to `b`, mm number 1. Then everything ends.
pub fn hand_over<const N: usize, E: Embed>(
    a: Shared<Mm<N, SIZE, E>>,
    b: Shared<Mm<N, SIZE, E>>,
    looker: JoinHandle<Option<Frag<N, SIZE, E>>>,
) {
    try_grace_period();
    let next = take(&b, 1);
    let found = looker.join().unwrap();
    found.into_iter().chain(next).for_each(retire);
    drop(a.end());
    drop(b.end());
}

/// Writes a fragment's first words, as its owner, with something that is no list node.
pub fn write(frag: NonNull<u8>) {
    // SAFETY: the stage put a cell at the start of each fragment.
    let cell = unsafe { frag.cast::<UnsafeCell<Node>>().as_ref() };
    // SAFETY: loom reports it if somebody else is there.
    cell.with_mut(|node| unsafe { *node = [NonNull::dangling().as_ptr(); 2] });
}

/// Reads a fragment's first words, as somebody who found it.
pub fn read(frag: NonNull<u8>) -> Node {
    // SAFETY: the stage put a cell at the start of each fragment.
    let cell = unsafe { frag.cast::<UnsafeCell<Node>>().as_ref() };
    // SAFETY: loom reports it if somebody else writes.
    cell.with(|node| unsafe { *node })
}

/// Something that all threads of a model use by reference. Its owner ends it after they are joined.
pub struct Shared<T>(NonNull<T>);

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    /// A reference that is good until `end`.
    pub fn get(&self) -> &'static T {
        // SAFETY: it stays until `end`.
        unsafe { self.0.as_ref() }
    }

    /// Takes it back. The others have been joined.
    pub fn end(self) -> T {
        // SAFETY: it was leaked by `new`, and nobody uses it any more.
        *unsafe { Box::from_raw(self.0.as_ptr()) }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it stays until `end`.
        unsafe { self.0.as_ref() }
    }
}
