//! The test kit for an embedder's parts: it passes those that there are, and finds what is wrong with others.

#![cfg(all(unix, feature = "std"))]

use std::{
    cell::Cell,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use ptfrag::{
    AllocError, Domain, Memory, Mm, Nested, OwnedDomain, PageDesc, PageSource, RawLock, Rcu, RcuFn,
    RcuHead, Region, SpinLock, Std, check,
};

#[test]
fn the_built_in_parts() {
    check::raw_lock::<SpinLock>();
    check::page_source(&Region::<4096>::new(64).unwrap(), 64);
    check::page_source(&Region::<65536>::with_keep(100, 3).unwrap(), 80);
    check::page_source(&Memory::<4096>::in_heap(64).unwrap(), 64);
    check::page_source(&Arc::new(Memory::<256>::in_heap(100).unwrap()), 64);
    let domain = OwnedDomain::new();
    check::rcu(&*domain, || {
        domain.poll();
    });
    let asymmetric = OwnedDomain::asymmetric();
    check::rcu(&*asymmetric, || {
        asymmetric.poll();
    });
}

#[test]
fn nested_pages() {
    let domain: &'static Domain = Box::leak(Box::new(OwnedDomain::new()));
    let parent = Mm::<16, 4096, Std<'static, 65536>>::new(domain, Region::new(32).unwrap());
    // What is retired because somebody holds the lock comes back only when callbacks run: half of what there is will do.
    check::page_source(&Nested::new(parent).unwrap(), 64);
}

fn panics_with(what: &str, check: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it was passed");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap();
    assert!(text.contains(what), "{text}");
}

/// What a source does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Twice,
    Shifted,
    Stranger,
    Zeroed,
    Lost,
}

struct Bad(Region<4096>, Wrong, AtomicUsize);

// SAFETY: it is not what it should be.
unsafe impl PageSource for Bad {
    const PAGE_SIZE: usize = 4096;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let page = self.0.get()?;
        if self.1 == Wrong::Twice && self.2.fetch_add(1, Ordering::Relaxed) == 3 {
            // SAFETY: just got.
            unsafe { self.0.put(page) };
        }
        Ok(page)
    }

    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: passed on to the caller.
        self.1 == Wrong::Zeroed || unsafe { self.0.is_zeroed(page) }
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        if self.1 != Wrong::Lost {
            // SAFETY: passed on to the caller.
            unsafe { self.0.put(page) };
        }
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        self.0.desc(addr).or((self.1 == Wrong::Stranger).then(NonNull::dangling))
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        // SAFETY: passed on to the caller.
        let addr = unsafe { self.0.addr(page) };
        let shift = if self.1 == Wrong::Shifted { 8 } else { 0 };
        addr.map_addr(|addr| addr.saturating_add(shift))
    }
}

#[test]
fn bad_sources() {
    for (wrong, what) in [
        (Wrong::Twice, "out twice"),
        (Wrong::Shifted, "not aligned"),
        (Wrong::Stranger, "not its own"),
        (Wrong::Zeroed, "is_zeroed says so"),
        (Wrong::Lost, "do not come out"),
    ] {
        let source = Bad(Region::new(16).unwrap(), wrong, AtomicUsize::new(0));
        panics_with(what, || check::page_source(&source, 16));
    }
}

/// Lets everybody in.
struct Open(AtomicBool);

// SAFETY: it is not what it should be.
unsafe impl RawLock for Open {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn lock(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn try_lock(&self) -> bool {
        true
    }

    unsafe fn unlock(&self) {}
}

#[test]
fn a_bad_lock() {
    panics_with("lets a second one in", check::raw_lock::<Open>);
}

/// A lock at first, and after a hundred holds open to everybody.
struct Tired {
    held: AtomicBool,
    holds: AtomicUsize,
}

// SAFETY: it is not what it should be.
unsafe impl RawLock for Tired {
    fn new() -> Self {
        Self { held: AtomicBool::new(false), holds: AtomicUsize::new(0) }
    }

    fn lock(&self) {
        while !self.try_lock() {
            thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        self.holds.load(Ordering::SeqCst) >= 100 || !self.held.swap(true, Ordering::SeqCst)
    }

    unsafe fn unlock(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.holds.fetch_add(1, Ordering::SeqCst);
    }
}

/// That two are in is said when all are through, and leaves nobody waiting.
#[test]
fn a_lock_that_gets_tired() {
    panics_with("two threads hold the lock", check::raw_lock::<Tired>);
}

/// The thread that is in a section meanwhile leaves it.
#[test]
fn who_drives_gives_up() {
    let (domain, drives) = (OwnedDomain::new(), Cell::new(0));
    let drive = || {
        domain.poll();
        drives.set(drives.get() + 1);
        assert!(drives.get() < 100, "enough");
    };
    panics_with("enough", || check::rcu(&*domain, drive));
}

/// What is wrong with an RCU.
#[derive(Clone, Copy, PartialEq)]
enum Hasty {
    /// Callbacks run at once.
    AtOnce,
    /// They run whenever somebody drives.
    WhenDriven,
    /// A worker runs them, after a while, whoever reads.
    ByAWorker,
    /// They run when no section is open on their own thread, as when a guard is dropped.
    AtTheEndOfSections,
    /// The end of any section is taken for the end of all of the thread's.
    Flat,
    /// What a thread has queued it has to run itself.
    OnTheirOwnThread,
}

/// A head and its callback.
struct Queued(NonNull<RcuHead>, RcuFn);

// SAFETY: any thread may run it.
unsafe impl Send for Queued {}

impl Queued {
    fn run(self) {
        // SAFETY: the promise of whoever queued it; what is wrong is found.
        unsafe { (self.1)(self.0) };
    }
}

static QUEUED: Mutex<Vec<(ThreadId, Queued)>> = Mutex::new(Vec::new());
/// The threads of all sections.
static READERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

struct Leaves(Hasty);

impl Drop for Leaves {
    fn drop(&mut self) {
        {
            let mut readers = READERS.lock().unwrap();
            let me = thread::current().id();
            if self.0 == Hasty::Flat {
                readers.retain(|reader| *reader != me);
            } else if let Some(at) = readers.iter().position(|reader| *reader == me) {
                readers.swap_remove(at);
            }
        }
        if self.0 == Hasty::AtTheEndOfSections {
            self.0.drive();
        }
    }
}

impl Hasty {
    fn drive(self) {
        let nobody_reads = READERS.lock().unwrap().is_empty();
        let ready = {
            let mut queued = QUEUED.lock().unwrap();
            let me = thread::current().id();
            let ripe = |(owner, _): &(ThreadId, Queued)| match self {
                Self::AtOnce | Self::ByAWorker => false,
                Self::WhenDriven => true,
                Self::AtTheEndOfSections | Self::Flat => nobody_reads,
                Self::OnTheirOwnThread => nobody_reads && *owner == me,
            };
            let (ready, others): (Vec<_>, _) = mem::take(&mut *queued).into_iter().partition(ripe);
            *queued = others;
            ready
        };
        ready.into_iter().for_each(|(_, head)| head.run());
    }
}

// SAFETY: it is not what it should be.
unsafe impl Rcu for Hasty {
    type Guard = Leaves;

    fn read(self) -> Leaves {
        READERS.lock().unwrap().push(thread::current().id());
        Leaves(self)
    }

    fn covers(self, _: &Leaves) -> bool {
        true
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        let head = Queued(head, func);
        match self {
            Self::AtOnce => head.run(),
            Self::ByAWorker => {
                thread::spawn(|| {
                    thread::sleep(Duration::from_millis(2));
                    head.run();
                });
            }
            _ => QUEUED.lock().unwrap().push((thread::current().id(), head)),
        }
    }
}

/// One after the other, since they share what is queued.
#[test]
fn hasty_rcus() {
    let early = "before a guard was dropped";
    for (hasty, what) in [
        (Hasty::AtOnce, "ran inside"),
        (Hasty::WhenDriven, early),
        (Hasty::ByAWorker, early),
        (Hasty::AtTheEndOfSections, "ran inside"),
        (Hasty::Flat, early),
        (Hasty::OnTheirOwnThread, "waits for the thread that queued it"),
    ] {
        panics_with(what, || check::rcu(hasty, || hasty.drive()));
        QUEUED.lock().unwrap().clear();
    }
}

/// Readers do not wait for ever for somebody who waits for them.
#[test]
fn who_drives_waits_for_nobody() {
    let domain = OwnedDomain::new();
    panics_with("drive waits for readers", || check::rcu(&*domain, || domain.barrier()));
}
