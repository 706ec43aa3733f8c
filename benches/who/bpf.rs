//! The memory allocator of BPF programs, as of Linux 6.6: lists for each thread, and one RCU call
//! in flight for all that it frees.
//!
//! A thread allocates from its `free` list, and refills that by the batch when it has less than the
//! low mark. What it frees under RCU is gathered in one list (`free_by_rcu`). When no call is in
//! flight, the whole list moves to another (`waiting_for_gp`) and waits, while the first gathers
//! what comes meanwhile. Objects that are through join the free list, and above the high mark the
//! thread frees down to the middle of the marks. Those go to a list that refills draw from first
//! (`free_by_rcu_ttrace`), and after another grace period to the slabs.
//!
//! Written from "A BPF-specific memory allocator" (LWN, 2022, <https://lwn.net/Articles/899274/>)
//! and the life cycle in the description of the change "bpf: Introduce `bpf_mem_free_rcu()` similar
//! to `kfree_rcu()`"; the marks are the kernel's. There objects that are through go to the last
//! list at once, and only those freed without a grace period, which nobody does here, to the free
//! list; and the second grace period is that of sleepable programs, here simply the thread's next.
//! Left out: refills by interrupt work, so that programs never wait, and all lists that this needs.
//! The kernel's lists link objects by a word in front of each; a fragment has no room there, so
//! these are arrays.

use std::{collections::HashSet, mem, ptr::NonNull, sync::Arc};

use ptfrag::{Domain, Rcu, RcuHead};

use super::{
    pages::{Fragment, Pages},
    slabs::Slabs,
};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// What waits for a grace period, or is through. The call has a reference while it is in flight; if
/// the thread is gone by then, this was the last, and the objects go to their slabs.
#[repr(C)]
#[derive(Debug)]
struct Batch<const N: usize, const SIZE: usize, const PAGE: usize> {
    head: RcuHead,
    slabs: NonNull<Slabs<N, SIZE, PAGE>>,
    objects: Vec<Fragment<PAGE>>,
}

// SAFETY: the objects are the batch's, and the slabs may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Send for Batch<N, SIZE, PAGE> {}
// SAFETY: as above.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Sync for Batch<N, SIZE, PAGE> {}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Batch<N, SIZE, PAGE> {
    fn new(slabs: &Slabs<N, SIZE, PAGE>, objects: Vec<Fragment<PAGE>>) -> Arc<Self> {
        Arc::new(Self { head: RcuHead::new(), slabs: NonNull::from(slabs), objects })
    }

    /// Has it wait for a grace period.
    fn call(self: Arc<Self>) {
        unsafe extern "C" fn over<const N: usize, const SIZE: usize, const PAGE: usize>(
            head: NonNull<RcuHead>,
        ) {
            let batch: NonNull<Batch<N, SIZE, PAGE>> = head.cast();
            // SAFETY: the head is the first field of a batch, and the call has a reference.
            drop(unsafe { Arc::from_raw(batch.as_ptr()) });
        }
        let batch = NonNull::new(Arc::into_raw(self).cast_mut());
        let head = batch.expect("no batch lies at null").cast();
        // SAFETY: no call is in flight, so the head is idle, and the slabs wait for the batch.
        unsafe { Domain::global().call(head, over::<N, SIZE, PAGE>) };
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Drop for Batch<N, SIZE, PAGE> {
    fn drop(&mut self) {
        if !self.objects.is_empty() {
            // SAFETY: the slabs wait for batches that have something in them.
            let slabs = unsafe { self.slabs.as_ref() };
            slabs.put(self.objects.drain(..));
            slabs.end();
        }
    }
}

/// Slabs for each mm. They do not move: batches point to them.
#[derive(Debug)]
pub struct Bpf<const N: usize, const SIZE: usize, const PAGE: usize> {
    source: Arc<Pages<PAGE>>,
    mms: Vec<Slabs<N, SIZE, PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Allocator for Bpf<N, SIZE, PAGE> {
    type Block = Fragment<PAGE>;
    type Handle<'a> = BpfHandle<'a, N, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let source: Arc<Pages<PAGE>> = Pages::new().into();
        let mms = (0..setup.sharing.mms()).map(|_| Slabs::new(source.clone())).collect();
        Self { source, mms }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        let slabs = &self.mms[pool % self.mms.len()];
        let [free, gathered, freed] = [const { Vec::new() }; 3];
        BpfHandle { slabs, free, gathered, waiting: Batch::new(slabs, Vec::new()), freed }
    }

    fn quiesce(self) {
        for slabs in &self.mms {
            slabs.wait(Domain::global());
            slabs.close();
        }
        assert_eq!(self.source.out(), 0, "a page is missing");
    }

    fn holding(&self) -> Holding {
        self.source.holding()
    }

    fn is_idle(&self) -> bool {
        self.mms.iter().all(|slabs| slabs.batches() == 0)
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        self.mms.iter().map(Slabs::batches).sum()
    }
}

/// A thread's lists. A block is retired through a handle of the mm that it is from.
#[derive(Debug)]
pub struct BpfHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize> {
    slabs: &'a Slabs<N, SIZE, PAGE>,
    free: Vec<Fragment<PAGE>>,
    /// What was freed and has no call yet.
    gathered: Vec<Fragment<PAGE>>,
    waiting: Arc<Batch<N, SIZE, PAGE>>,
    /// What was above the high mark.
    freed: Vec<Fragment<PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> BpfHandle<'_, N, SIZE, PAGE> {
    /// With less the free list is refilled.
    const LOW: usize = if SIZE <= 256 { 32 } else { 32 * 256 / SIZE };

    /// With more the free list gives some away.
    const HIGH: usize = 3 * Self::LOW;

    /// By so many it is refilled.
    const BATCH: usize = (Self::HIGH - Self::LOW) / 4 * 3;

    #[cold]
    fn refill(&mut self) {
        let mine = Self::BATCH.min(self.freed.len());
        self.free.extend(self.freed.drain(self.freed.len() - mine..));
        if mine < Self::BATCH {
            self.slabs.take(Self::BATCH - mine, &mut self.free);
        }
    }

    /// Unless a call is in flight: takes over what is through, and has wait what was gathered.
    #[cold]
    fn turn(&mut self) {
        let Some(batch) = Arc::get_mut(&mut self.waiting) else { return };
        if !batch.objects.is_empty() {
            // Since this was freed another grace period has passed.
            self.slabs.put(self.freed.drain(..));
            self.free.append(&mut batch.objects);
            if self.free.len() > Self::HIGH {
                self.freed.extend(self.free.drain((Self::LOW + Self::HIGH) / 2..));
            }
            self.slabs.end();
        }
        if !self.gathered.is_empty() {
            mem::swap(&mut batch.objects, &mut self.gathered);
            self.waiting.clone().call();
        }
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Handle for BpfHandle<'_, N, SIZE, PAGE> {
    type Block = Fragment<PAGE>;

    #[inline]
    fn allocate(&mut self) -> Fragment<PAGE> {
        loop {
            if self.free.len() < Self::LOW {
                self.refill();
            }
            if let Some(object) = self.free.pop() {
                return object;
            }
        }
    }

    #[inline]
    fn retire(&mut self, block: Fragment<PAGE>) {
        let _section = Domain::global().read();
        if self.gathered.is_empty() {
            self.slabs.begin();
        }
        self.gathered.push(block);
        // The call's reference is gone.
        if Arc::strong_count(&self.waiting) == 1 {
            self.turn();
        }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        Domain::global().poll();
        self.turn();
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Drop for BpfHandle<'_, N, SIZE, PAGE> {
    fn drop(&mut self) {
        self.turn();
        if !self.gathered.is_empty() {
            // The batch that waits cannot take more.
            Batch::new(self.slabs, mem::take(&mut self.gathered)).call();
        }
        self.slabs.put(self.free.drain(..).chain(self.freed.drain(..)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Sharing;

    type Handle256<'a> = BpfHandle<'a, 16, 256, 4096>;

    #[test]
    fn one_call_is_in_flight_and_the_marks_hold() {
        let bpf = Bpf::<16, 256, 4096>::new(Setup { held: 0, sharing: Sharing::OneMm });
        let mut handle = bpf.handle(0);
        let blocks: Vec<_> = (0..400).map(|_| handle.allocate()).collect();
        let pages = bpf.source.out();
        let section = Domain::global().read();
        blocks.into_iter().for_each(|block| handle.retire(block));
        // The first waits, all others are gathered.
        assert_eq!((handle.waiting.objects.len(), handle.gathered.len()), (1, 399));
        assert_eq!(bpf.in_flight(0, &HashSet::new()), 2);
        drop(section);
        while !bpf.is_idle() {
            handle.progress();
        }
        assert_eq!(handle.free.len(), (Handle256::LOW + Handle256::HIGH) / 2);
        assert!(handle.freed.len() > 300);
        // What was freed serves refills, so no page is taken.
        let blocks: Vec<_> = (0..300).map(|_| handle.allocate()).collect();
        assert_eq!(bpf.source.out(), pages);
        blocks.into_iter().for_each(|block| handle.retire(block));
        drop(handle);
        bpf.quiesce();
    }
}
