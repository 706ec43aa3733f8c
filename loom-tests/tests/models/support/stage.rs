//! Where one execution plays: pages, descriptors, RCU state and the oracle.

use std::{
    alloc::{self, Layout},
    cell::{Cell, RefCell},
    mem::MaybeUninit,
    ptr,
    ptr::NonNull,
};

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    thread::{Thread, ThreadId},
};
use ptfrag::{PageDesc, RawLock, RcuHead};

use super::{Node, SIZE, Watched, try_grace_period};

// A loom thread is a coroutine on the test's own thread, so this is the same for all of them.
thread_local! {
    static CURRENT: Cell<Option<&'static Stage>> = const { Cell::new(None) };
}

const _: () = assert!(size_of::<UnsafeCell<Node>>() <= SIZE);

/// What the oracle knows of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Idle,
    Held,
    Retired,
}

/// Memory for a head or a part, kept to the end of the execution so that a late use can be told.
struct Place {
    at: NonNull<u8>,
    layout: Layout,
    disposed: bool,
}

/// The oracle's part, in plain memory: loom runs one thread at a time.
struct Oracle {
    frags: Vec<Life>,
    owners: Vec<Option<usize>>,
    made: Vec<bool>,
    places: Vec<Place>,
    next_mm: usize,
    threads: Vec<(ThreadId, usize)>,
    locks: Vec<*const Watched>,
    /// The locks that are held, and by whom.
    held: Vec<(*const Watched, ThreadId)>,
    waiters: Vec<Thread>,
    next_slot: usize,
}

/// What a model's hook does, once.
type Play = Box<dyn FnOnce()>;

/// One execution's world.
pub struct Stage {
    size: usize,
    memory: NonNull<u8>,
    layout: Layout,
    descs: Box<[std::cell::UnsafeCell<MaybeUninit<PageDesc>>]>,
    /// Which pages are at the source.
    pub home: Box<[AtomicBool]>,
    /// How many sections each thread is in.
    pub slots: Box<[AtomicUsize]>,
    /// The heads that wait for a grace period.
    pub queue: AtomicPtr<RcuHead>,
    /// Whether grace periods are numbered, and if so the last that was begun and the last that is over.
    pub numbered: Cell<bool>,
    pub begun: AtomicUsize,
    pub over: AtomicUsize,
    hook: Cell<Option<Play>>,
    oracle: RefCell<Oracle>,
}

impl Stage {
    /// Builds the stage for an execution.
    pub fn set(threads: usize, pages: usize, size: usize) -> &'static Self {
        let layout = Layout::from_size_align(pages * size, size).unwrap();
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).unwrap();
        for offset in (0..pages * size).step_by(SIZE) {
            // SAFETY: the offset lies in the memory.
            let frag = unsafe { memory.add(offset) };
            // SAFETY: a fragment has room for a cell.
            unsafe { frag.cast().write(UnsafeCell::<Node>::new([ptr::null_mut(); 2])) };
        }
        let oracle = Oracle {
            frags: vec![Life::Idle; pages * size / SIZE],
            owners: vec![None; pages],
            made: vec![false; pages],
            places: Vec::new(),
            next_mm: 0,
            threads: vec![(loom::thread::current().id(), 0)],
            locks: Vec::new(),
            held: Vec::new(),
            waiters: Vec::new(),
            next_slot: 1,
        };
        let stage = Box::leak(Box::new(Self {
            size,
            memory,
            layout,
            descs: (0..pages).map(|_| std::cell::UnsafeCell::new(MaybeUninit::uninit())).collect(),
            home: (0..pages).map(|_| AtomicBool::new(true)).collect(),
            slots: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            queue: AtomicPtr::new(ptr::null_mut()),
            numbered: Cell::new(false),
            begun: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
            hook: Cell::new(None),
            oracle: RefCell::new(oracle),
        }));
        CURRENT.set(Some(stage));
        stage
    }

    /// The stage of the execution.
    pub fn get() -> &'static Self {
        CURRENT.get().expect("a stage is set")
    }

    pub fn with<R>(play: impl FnOnce(&Self) -> R) -> R {
        play(Self::get())
    }

    /// Lets all calls come back, checks that everything is home, and takes the stage down.
    pub fn strike(&'static self) {
        for round in 0.. {
            assert!(round < 8, "calls that never end");
            if self.queue.load(Ordering::Relaxed).is_null() {
                break;
            }
            assert!(try_grace_period(), "a reader never left");
        }
        let oracle = self.oracle.borrow();
        assert!(oracle.owners.iter().all(Option::is_none), "a page never came home");
        assert!(oracle.frags.iter().all(|life| *life == Life::Idle), "a fragment was lost");
        for place in &oracle.places {
            assert!(place.disposed, "an mm's head or a handle's part was never freed");
            // SAFETY: allocated by `place` with this layout.
            unsafe { alloc::dealloc(place.at.as_ptr(), place.layout) };
        }
        drop(oracle);
        // SAFETY: allocated by `set` with this layout.
        unsafe { alloc::dealloc(self.memory.as_ptr(), self.layout) };
        CURRENT.set(None);
        // SAFETY: leaked by `set`; the execution's other threads have been joined.
        drop(unsafe { Box::from_raw(ptr::from_ref(self).cast_mut()) });
    }

    // Pages.

    pub fn page(&self, index: usize) -> NonNull<u8> {
        // SAFETY: the index is below the number of pages.
        unsafe { self.memory.add(index * self.size) }
    }

    pub fn desc(&self, index: usize) -> NonNull<PageDesc> {
        NonNull::from(&self.descs[index]).cast()
    }

    /// Makes a page's descriptor when it is first handed out, as a source that grows does. loom
    /// reports whoever looks at it without that being ordered before.
    pub fn make_desc(&self, index: usize) {
        if !std::mem::replace(&mut self.oracle.borrow_mut().made[index], true) {
            // SAFETY: nobody has been told of the descriptor yet.
            unsafe { self.desc(index).write(PageDesc::new()) };
        }
    }

    pub fn index(&self, page: NonNull<PageDesc>) -> usize {
        (page.addr().get() - self.descs.as_ptr().addr()) / size_of::<PageDesc>()
    }

    pub fn index_of(&self, addr: NonNull<u8>) -> Option<usize> {
        let offset = addr.addr().get().checked_sub(self.memory.addr().get())?;
        (offset < self.layout.size()).then_some(offset / self.size)
    }

    // Threads.

    pub fn next_slot(&self) -> usize {
        let mut oracle = self.oracle.borrow_mut();
        oracle.next_slot += 1;
        oracle.next_slot - 1
    }

    pub fn register(&self, slot: usize) {
        self.oracle.borrow_mut().threads.push((loom::thread::current().id(), slot));
    }

    pub fn my_slot(&self) -> usize {
        let me = loom::thread::current().id();
        let oracle = self.oracle.borrow();
        oracle.threads.iter().find(|(id, _)| *id == me).expect("spawned by `spawn`").1
    }

    // Heads and their locks.

    /// Room for an mm's head, or a handle's part.
    pub fn place<T>(&self) -> NonNull<MaybeUninit<T>> {
        let layout = Layout::new::<T>();
        // SAFETY: neither heads nor handles' parts are empty.
        let at = NonNull::new(unsafe { alloc::alloc(layout) }).unwrap();
        self.oracle.borrow_mut().places.push(Place { at, layout, disposed: false });
        at.cast()
    }

    /// The number of an mm.
    pub fn next_mm(&self) -> usize {
        let mut oracle = self.oracle.borrow_mut();
        oracle.next_mm += 1;
        oracle.next_mm - 1
    }

    /// The end of what lies in a place. What loom keeps there of an atomic is spoilt.
    pub fn disposed<T>(at: NonNull<T>) {
        let mut oracle = Self::get().oracle.borrow_mut();
        let place = oracle.places.iter_mut().find(|place| place.at == at.cast()).unwrap();
        assert!(!place.disposed, "a place was freed twice");
        place.disposed = true;
        // SAFETY: its content was dropped.
        unsafe { at.cast::<MaybeUninit<T>>().write_bytes(0xdb, 1) };
    }

    pub fn locked(&self, lock: &Watched) {
        let Oracle { locks, held, .. } = &mut *self.oracle.borrow_mut();
        held.push((lock, loom::thread::current().id()));
        if !locks.contains(&ptr::from_ref(lock)) {
            locks.push(lock);
        }
    }

    pub fn unlocked(&self, lock: &Watched) {
        self.oracle.borrow_mut().held.retain(|(held, _)| !ptr::eq(*held, lock));
    }

    /// What a thread does here it must not do under a lock (rule 9).
    pub fn forbid_locks(&self) {
        let me = loom::thread::current().id();
        let held = self.oracle.borrow().held.iter().any(|(_, holder)| *holder == me);
        assert!(!held, "a thread left the crate under the lock");
    }

    /// A thread is about to park, waiting for some lock.
    pub fn wait(&self, thread: Thread) {
        self.oracle.borrow_mut().waiters.push(thread);
    }

    /// A lock has been released.
    pub fn wake(&self) {
        let waiters = std::mem::take(&mut self.oracle.borrow_mut().waiters);
        waiters.iter().for_each(Thread::unpark);
    }

    /// The lock that was the `nth` to be taken for the first time.
    pub fn lock(&self, nth: usize) -> &'static Watched {
        let lock = self.oracle.borrow().locks[nth];
        // SAFETY: the model keeps the lock's mm as long as it uses the lock.
        unsafe { &*lock }
    }

    /// Lets the `nth` lock go again, which a thread holds that has stopped.
    pub fn unjam(&self, nth: usize) {
        // SAFETY: the stopped thread holds it, and never comes back.
        unsafe { self.lock(nth).unlock() };
    }

    // Hooks.

    /// Has the next reclaim hook do something of the model's.
    pub fn at_reclaim(&self, play: impl FnOnce() + 'static) {
        self.hook.set(Some(Box::new(play)));
    }

    /// Does it, if no hook has yet.
    pub fn run_hook(&self) {
        if let Some(play) = self.hook.take() {
            play();
        }
    }

    // The oracle.

    pub fn page_out(&self, index: usize, mm: usize) {
        let owner = self.oracle.borrow_mut().owners[index].replace(mm);
        assert_eq!(owner, None, "page {index} was handed out twice");
    }

    pub fn page_in(&self, index: usize, mm: usize) {
        let mut oracle = self.oracle.borrow_mut();
        let owner = oracle.owners[index].take();
        assert_eq!(owner, Some(mm), "page {index} is not this mm's to give back");
        let frags = self.size / SIZE;
        let lives = &oracle.frags[index * frags..][..frags];
        assert!(
            lives.iter().all(|life| *life == Life::Idle),
            "page {index} went home as {lives:?}"
        );
    }

    fn turn(&self, frag: NonNull<u8>, from: Life, to: Life) {
        let index = (frag.addr().get() - self.memory.addr().get()) / SIZE;
        let life = &mut self.oracle.borrow_mut().frags[index];
        assert_eq!(*life, from, "fragment {index} cannot become {to:?}");
        *life = to;
    }

    pub fn taken(&self, frag: NonNull<u8>, mm: usize) {
        self.turn(frag, Life::Idle, Life::Held);
        let index = self.index_of(frag).unwrap();
        assert_eq!(self.oracle.borrow().owners[index], Some(mm), "another mm's fragment");
    }

    pub fn retired(&self, frag: NonNull<u8>) {
        self.turn(frag, Life::Held, Life::Retired);
    }

    pub fn given_back(&self, frag: NonNull<u8>) {
        self.turn(frag, Life::Held, Life::Idle);
    }

    pub fn reclaimed(&self, frag: NonNull<u8>) {
        self.turn(frag, Life::Retired, Life::Idle);
    }
}
