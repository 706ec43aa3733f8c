//! What the threads of a replay share, and the threads that replay events.

use std::{
    panic::{self, AssertUnwindSafe},
    ptr::NonNull,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{Domain, Mm, Region, Slot, Std};

use super::{
    plan::{Place, Plan, Step},
    stamp,
};
use crate::cpu::Cpu;

/// A thread is at most this many events of the trace ahead of the slowest one, so that what was
/// recorded at about the same time happens at about the same time.
const WINDOW: usize = 64;

/// A thread lets callbacks run after this many of its steps.
const POLL_EVERY: usize = 8;

/// The states of a table.
const UNBORN: u8 = 0;
const ALIVE: u8 = 1;
const FREED: u8 = 2;

/// One slot of an mm's map.
pub(super) struct Entry<const FRAGS: usize, const SIZE: usize, const PAGE: usize> {
    pub(super) slot: Slot<FRAGS, SIZE, Std<'static, PAGE>>,
    /// No table before this one is to be found here any more: one past the last that was freed.
    pub(super) floor: AtomicUsize,
}

/// An mm and its map.
struct Life<const FRAGS: usize, const SIZE: usize, const PAGE: usize> {
    /// Open from the first table to the exit. Who allocates from it, or makes a handle, holds the
    /// lock shared.
    mm: RwLock<Option<Mm<FRAGS, SIZE, Std<'static, PAGE>>>>,
    /// Made with the mm.
    map: OnceLock<Vec<Entry<FRAGS, SIZE, PAGE>>>,
    /// How many of the steps before its exit have been done.
    done: AtomicUsize,
}

/// What a thread has to itself, if it is to use a handle.
type Own<const FRAGS: usize, const SIZE: usize, const PAGE: usize> =
    Option<Cpu<FRAGS, SIZE, Std<'static, PAGE>>>;

/// Everything that the threads share.
pub(super) struct Scene<'a, const FRAGS: usize, const SIZE: usize, const PAGE: usize> {
    pub(super) plan: &'a Plan,
    /// The tables' numbers in the trace.
    numbers: &'a [u64],
    pub(super) domain: &'static Domain,
    pub(super) region: Region<PAGE>,
    lives: Vec<Life<FRAGS, SIZE, PAGE>>,
    /// An mm that never has a page: it looks page words up, whichever mm owns the page.
    probe: Mm<FRAGS, SIZE, Std<'static, PAGE>>,
    tables: Vec<AtomicU8>,
    /// The step that each thread is at.
    cursors: Vec<AtomicUsize>,
    failure: OnceLock<String>,
    /// Tells the walkers to go home.
    pub(super) stop: AtomicBool,
    pub(super) walks: AtomicU64,
    pub(super) misses: AtomicU64,
}

/// The replay ends early: somebody has said why.
struct Stopped;

impl<'a, const FRAGS: usize, const SIZE: usize, const PAGE: usize> Scene<'a, FRAGS, SIZE, PAGE> {
    pub(super) fn new(
        plan: &'a Plan,
        numbers: &'a [u64],
        domain: &'static Domain,
        region: Region<PAGE>,
    ) -> Self {
        let life =
            |_| Life { mm: RwLock::new(None), map: OnceLock::new(), done: AtomicUsize::new(0) };
        Self {
            plan,
            numbers,
            domain,
            probe: Mm::new_in(domain, region.clone(), ()),
            region,
            lives: (0..plan.lives.len()).map(life).collect(),
            tables: plan.places.iter().map(|_| AtomicU8::new(UNBORN)).collect(),
            cursors: plan.cpus.iter().map(|steps| AtomicUsize::new(steps[0])).collect(),
            failure: OnceLock::new(),
            stop: AtomicBool::new(false),
            walks: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The slot in which a table stands, once its mm is open.
    pub(super) fn entry(&self, place: Place) -> Option<&Entry<FRAGS, SIZE, PAGE>> {
        self.lives[place.life].map.get().map(|map| &map[place.slot])
    }

    /// A table as the trace calls it, for a number that was found in a stamp.
    pub(super) fn call(&self, table: u64) -> String {
        match usize::try_from(table).ok().and_then(|table| self.numbers.get(table)) {
            Some(number) => format!("table {number}"),
            None => format!("{table:#018x}, which is no table"),
        }
    }

    /// The word of the page in which `frag` lies.
    pub(super) fn page_word(&self, frag: &[u8; SIZE]) -> String {
        match self.probe.page_word(NonNull::from(frag).cast()) {
            Some(word) => format!("[{word}]"),
            None => "outside the region".to_owned(),
        }
    }

    pub(super) fn fail(&self, what: String) {
        // The first failure is the one to tell.
        let _ = self.failure.set(what);
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Runs `f`; a panic in it fails the replay, so that no other thread waits for this one.
    pub(super) fn watched(&self, f: impl FnOnce()) {
        if panic::catch_unwind(AssertUnwindSafe(f)).is_err() {
            self.fail("a thread panicked".to_owned());
        }
    }

    /// The slowest thread's place in the trace.
    pub(super) fn progress(&self) -> usize {
        let cursors = self.cursors.iter().map(|cursor| cursor.load(Ordering::Relaxed));
        cursors.min().unwrap_or(0).min(self.plan.steps.len())
    }

    /// Replays the events of one CPU.
    pub(super) fn replay(&self, cpu: usize, bare: bool) {
        let steps = &self.plan.cpus[cpu];
        let mut own = (!bare).then(Cpu::new);
        // What the slowest thread had reached when this one last looked.
        let mut slowest = 0;
        for (n, &at) in steps.iter().enumerate() {
            self.cursors[cpu].store(at, Ordering::Relaxed);
            own.iter_mut().for_each(|own| own.leave(|life| self.plan.lives[life].exit <= at));
            let step = self
                .wait(|| {
                    if at >= slowest + WINDOW {
                        slowest = self.progress();
                    }
                    at < slowest + WINDOW
                })
                .and_then(|()| self.step(at, &mut own));
            if step.is_err() {
                break;
            }
            if n % POLL_EVERY == 0 {
                self.domain.poll();
            }
        }
        self.cursors[cpu].store(usize::MAX, Ordering::Relaxed);
    }

    fn step(&self, at: usize, own: &mut Own<FRAGS, SIZE, PAGE>) -> Result<(), Stopped> {
        let life = match self.plan.steps[at] {
            Step::Alloc { table } => {
                self.alloc(table, own)?;
                self.plan.place(table).life
            }
            Step::Free { table } => {
                self.wait(|| self.tables[table].load(Ordering::Acquire) == ALIVE)?;
                self.free(table, own);
                self.plan.place(table).life
            }
            Step::Exit { life, after } => {
                self.wait(|| self.lives[life].done.load(Ordering::Acquire) >= after)?;
                self.exit(life);
                life
            }
        };
        // A table can outlive its mm; its free must not stand in for a step that the exit needs.
        if at < self.plan.lives[life].exit {
            self.lives[life].done.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    fn alloc(&self, table: usize, own: &mut Own<FRAGS, SIZE, PAGE>) -> Result<(), Stopped> {
        let place = self.plan.place(table);
        if let Some(before) = place.before {
            self.wait(|| self.tables[before].load(Ordering::Acquire) == FREED)?;
        }
        let frag = match own {
            Some(own) => own.turn_to(place.life, || self.with_mm(place.life, Mm::local)).alloc(),
            None => self.with_mm(place.life, Mm::alloc),
        };
        let mut frag = match frag {
            Ok(frag) => frag,
            Err(e) => {
                self.fail(e.to_string());
                return Err(Stopped);
            }
        };
        stamp::write(&mut frag[..], table);
        let entry = self.entry(place).expect("an mm that handed out a fragment has a map");
        match own.as_mut().and_then(Cpu::handle) {
            Some(local) => local.publish(&entry.slot, frag),
            None => entry.slot.publish(frag),
        }
        // Release: whoever frees the table sees it published.
        self.tables[table].store(ALIVE, Ordering::Release);
        Ok(())
    }

    /// Does something with an mm, which is opened for it if need be.
    fn with_mm<T>(
        &self,
        life: usize,
        act: impl FnOnce(&Mm<FRAGS, SIZE, Std<'static, PAGE>>) -> T,
    ) -> T {
        let Life { mm, map, .. } = &self.lives[life];
        if let Some(mm) = mm.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return act(mm);
        }
        let mut mm = mm.write().unwrap_or_else(PoisonError::into_inner);
        let mm = mm.get_or_insert_with(|| Mm::new_in(self.domain, self.region.clone(), ()));
        map.get_or_init(|| {
            let slots = self.plan.lives[life].slots.iter();
            slots.map(|_| Entry { slot: mm.slot(), floor: AtomicUsize::new(0) }).collect()
        });
        act(mm)
    }

    fn free(&self, table: usize, own: &mut Own<FRAGS, SIZE, PAGE>) {
        let entry = self.entry(self.plan.place(table)).expect("the table's mm was opened");
        match own.as_mut().and_then(Cpu::handle) {
            Some(local) => local.clear(&entry.slot),
            None => entry.slot.clear(),
        }
        // Release: a walker that sees this cannot find the table any more.
        entry.floor.store(table + 1, Ordering::Release);
        // Release: the next table of this slot sees it empty.
        self.tables[table].store(FREED, Ordering::Release);
    }

    fn exit(&self, life: usize) {
        let mut mm = self.lives[life].mm.write().unwrap_or_else(PoisonError::into_inner);
        drop(mm.take());
    }

    /// Frees what the trace leaves alive.
    pub(super) fn end(&self) {
        for &table in &self.plan.alive {
            if self.failure.get().is_some() {
                return;
            }
            self.free(table, &mut None);
        }
        for life in 0..self.lives.len() {
            self.exit(life);
        }
    }

    /// Waits for `ready`, and runs callbacks meanwhile.
    fn wait(&self, mut ready: impl FnMut() -> bool) -> Result<(), Stopped> {
        while !ready() {
            if self.failure.get().is_some() {
                return Err(Stopped);
            }
            self.domain.poll();
            thread::yield_now();
        }
        Ok(())
    }
}
