//! This crate, with an embedder's own RCU, lock and hooks, which count.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    io,
    ptr::NonNull,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::ptfrag::{AllocError, Embed, Frag, Hooks, Mm, RawLock, Region, SpinLock};

use super::{
    Policy, Tally,
    trace_rcu::{Batch, TraceRcu},
};
use crate::cpu::Cpu;

thread_local! {
    /// Acquisitions by this thread: a lock is made by the crate, out of nothing, and cannot be
    /// told where to count. A replay stays on one thread.
    static ACQUISITIONS: Cell<u64> = const { Cell::new(0) };
}

fn acquired() {
    ACQUISITIONS.set(ACQUISITIONS.get() + 1);
}

/// The built-in lock; counts how often it is taken.
pub(crate) struct CountingLock(SpinLock);

// SAFETY: every call goes to a lock that keeps the contract.
unsafe impl RawLock for CountingLock {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn lock(&self) {
        acquired();
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        let taken = self.0.try_lock();
        if taken {
            acquired();
        }
        taken
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock.
        unsafe { self.0.unlock() };
    }
}

/// What the hooks see of the pages.
#[derive(Default)]
struct Pages {
    held: u64,
    taken: u64,
    reused: u64,
    /// By a page's address, which of its fragments have been used since it came.
    used: HashMap<usize, u32>,
}

/// The hooks of all mms of a replay.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Pages>>);

impl Watch {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hooks for Watch {
    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        let mut pages = self.pages();
        pages.held += 1;
        pages.taken += 1;
        pages.used.insert(page.addr().get(), 0);
        Ok(())
    }

    fn page_out(&self, page: NonNull<u8>) {
        let mut pages = self.pages();
        pages.held -= 1;
        pages.used.remove(&page.addr().get());
    }
}

/// The parts of an mm in a replay.
pub(crate) struct Parts<const PAGE: usize>;

impl<const PAGE: usize> Embed for Parts<PAGE> {
    type Rcu = TraceRcu;
    type Source = Region<PAGE>;
    type Lock = CountingLock;
    type Hooks = Watch;
}

/// An mm whose head lies where no other mm's head has lain.
///
/// A page remembers the address of the head of the mm that has shown it last, and an mm with its head at that
/// address may show it again at once. If heads came from the heap, its allocator would decide which
/// mm that is, and that depends on more than the trace. So the places of heads, some hundred bytes each, are
/// never freed.
fn open<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    rcu: TraceRcu,
    region: Region<PAGE>,
    watch: Watch,
) -> Mm<FRAGS, SIZE, Parts<PAGE>> {
    let place = NonNull::from(Box::leak(Box::new_uninit()));
    // SAFETY: the place was allocated just now and is leaked, so it is nobody else's for ever.
    unsafe { Mm::new_at(place, |_| (), rcu, region, watch) }
}

/// Fragments that are reused after a grace period, with or without a handle for each CPU.
pub(crate) struct Ptfrag<const FRAGS: usize, const SIZE: usize, const PAGE: usize> {
    rcu: TraceRcu,
    region: Region<PAGE>,
    watch: Watch,
    mms: Vec<Option<Mm<FRAGS, SIZE, Parts<PAGE>>>>,
    /// By number, if they are to have handles.
    cpus: Option<BTreeMap<u32, Cpu<FRAGS, SIZE, Parts<PAGE>>>>,
    /// The one that everything happens on.
    cpu: u32,
    tables: Vec<Option<Frag<FRAGS, SIZE, Parts<PAGE>>>>,
    /// The thread's acquisitions before this replay.
    earlier: u64,
}

impl<const FRAGS: usize, const SIZE: usize, const PAGE: usize> Ptfrag<FRAGS, SIZE, PAGE> {
    /// Every CPU goes to the mm itself.
    ///
    /// # Errors
    /// The system has no address space for a page per table.
    pub(crate) fn new(mms: usize, tables: usize) -> io::Result<Self> {
        Ok(Self {
            rcu: TraceRcu::new(),
            region: Region::new(tables.max(1))?,
            watch: Watch::default(),
            mms: (0..mms).map(|_| None).collect(),
            cpus: None,
            cpu: 0,
            tables: (0..tables).map(|_| None).collect(),
            earlier: ACQUISITIONS.get(),
        })
    }

    /// Every CPU has a handle of the mm that it allocates for.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn per_cpu(mms: usize, tables: usize) -> io::Result<Self> {
        Ok(Self { cpus: Some(BTreeMap::new()), ..Self::new(mms, tables)? })
    }

    /// A fragment of the mm.
    fn take(&mut self, number: usize) -> Result<Frag<FRAGS, SIZE, Parts<PAGE>>, AllocError> {
        let mm = self.mms[number]
            .get_or_insert_with(|| open(self.rcu, self.region.clone(), self.watch.clone()));
        match &mut self.cpus {
            Some(cpus) => {
                let cpu = cpus.entry(self.cpu).or_insert_with(Cpu::new);
                cpu.turn_to(number, || mm.local()).alloc()
            }
            None => mm.alloc(),
        }
    }
}

impl<const FRAGS: usize, const SIZE: usize, const PAGE: usize> Policy
    for Ptfrag<FRAGS, SIZE, PAGE>
{
    type Deferred = Batch;

    fn name(&self) -> &'static str {
        match self.cpus {
            Some(_) => "ptfrag, per CPU",
            None => "ptfrag",
        }
    }

    fn page_bytes(&self) -> usize {
        PAGE
    }

    fn on(&mut self, cpu: u32) {
        self.cpu = cpu;
    }

    fn at(&mut self, now: u64, next: u64) {
        self.rcu.set_time(now, next);
    }

    fn alloc(&mut self, mm: usize, table: usize) -> Result<(), String> {
        let frag = self.take(mm).map_err(|e| e.to_string())?;
        let addr = frag.as_ptr().addr().get();
        let (page, bit) = (addr & !(PAGE - 1), 1 << (addr % PAGE / SIZE));
        let mut pages = self.watch.pages();
        let used = pages.used.get_mut(&page).ok_or("a fragment of a page that never came")?;
        let again = *used & bit != 0;
        *used |= bit;
        pages.reused += u64::from(again);
        self.tables[table] = Some(frag);
        Ok(())
    }

    fn free(&mut self, table: usize) {
        let frag = self.tables[table].take().expect("a trace frees what it allocated");
        let cpu = self.cpus.as_mut().and_then(|cpus| cpus.get_mut(&self.cpu));
        match cpu.and_then(Cpu::handle) {
            Some(local) => local.retire(frag),
            None => frag.retire(),
        }
    }

    fn exit(&mut self, mm: usize) {
        for cpu in self.cpus.iter_mut().flat_map(BTreeMap::values_mut) {
            cpu.leave(|of| of == mm);
        }
        self.mms[mm] = None;
    }

    fn deferred(&mut self) -> Option<Batch> {
        self.rcu.take()
    }

    fn grace_over(&mut self, batch: Batch) {
        self.rcu.run(batch);
    }

    fn tally(&self) -> Tally {
        let pages = self.watch.pages();
        Tally {
            held: pages.held,
            taken: pages.taken,
            lock_acquisitions: ACQUISITIONS.get() - self.earlier,
            rcu_calls: self.rcu.calls(),
            reused: pages.reused,
        }
    }

    fn pages_out(&self) -> u64 {
        self.region.pages_out() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle<const F: usize, const S: usize, const P: usize>(policy: &mut Ptfrag<F, S, P>) {
        while let Some(batch) = policy.deferred() {
            policy.grace_over(batch);
        }
    }

    #[test]
    fn a_fragment_comes_back() {
        let mut policy = Ptfrag::<2, 2048, 4096>::new(1, 4).unwrap();
        policy.alloc(0, 0).unwrap();
        policy.alloc(0, 1).unwrap();
        policy.free(0);
        // Not before its grace period is over.
        policy.alloc(0, 2).unwrap();
        assert_eq!((policy.tally().taken, policy.tally().reused), (2, 0));
        settle(&mut policy);
        policy.alloc(0, 3).unwrap();
        assert_eq!(policy.tally().taken, 2);
        policy.exit(0);
        for table in 1..4 {
            policy.free(table);
        }
        settle(&mut policy);
        assert_eq!((policy.tally().held, policy.pages_out()), (0, 0));
    }

    #[test]
    fn a_cpu_keeps_what_it_frees_until_it_turns() {
        let mut policy = Ptfrag::<2, 2048, 4096>::per_cpu(2, 4).unwrap();
        policy.on(7);
        policy.alloc(0, 0).unwrap();
        policy.free(0);
        // Too little for a call, and out of the other CPU's reach.
        assert!(policy.deferred().is_none());
        policy.on(3);
        policy.alloc(0, 1).unwrap();
        policy.alloc(0, 2).unwrap();
        assert_eq!((policy.tally().taken, policy.tally().reused), (2, 0));
        // The first CPU turns to another mm.
        policy.on(7);
        policy.alloc(1, 3).unwrap();
        settle(&mut policy);
        policy.on(3);
        policy.free(3);
        settle(&mut policy);
        // The other mm's table was freed without the handle, and its page is home.
        assert_eq!((policy.tally().held, policy.tally().taken), (2, 3));
        policy.free(1);
        policy.free(2);
        assert!(policy.deferred().is_none());
        policy.exit(0);
        settle(&mut policy);
        assert_eq!((policy.tally().held, policy.pages_out()), (0, 0));
    }
}
