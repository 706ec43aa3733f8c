//! FreeBSD's UMA with SMR: buckets of items, and a queue of full ones that wait for readers.
//!
//! A thread allocates from one bucket and frees into another. A full one is stamped and goes to the
//! end of the zone's queue. A thread whose bucket to allocate from is empty takes the bucket at the
//! front, if readers have passed its stamp; if they have not, it fills a bucket from slabs. A
//! bucket has more room, the smaller its items are, and new ones have more when a thread finds the
//! zone locked.
//!
//! Written from the manual pages `uma(9)` and `smr(9)` (FreeBSD 14); how large buckets are, and
//! that the queue is looked at from the front only, is from UMA's source. There a stamp is SMR's
//! write sequence number, advanced for the bucket and polled by whoever wants it. The RCU here has
//! no such numbers to ask for, so each bucket makes one call, which tells when it may be used. The
//! bound of the queue is what `uma_zone_set_maxcache` sets; UMA itself has none, and trims the
//! queue every 20 seconds to what was used. Left out: NUMA domains, each of which has a queue; the
//! zone from which buckets come, for which the heap stands; and constructors.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use ptfrag::{Domain, Rcu, RcuHead};

use super::{
    pages::{Fragment, Pages, lock},
    slabs::Slabs,
};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// Buckets that readers have passed stay in the queue, up to so many.
const MOST: usize = 10;

/// The room that buckets grow to.
const LARGEST: usize = 256;

/// A stamped bucket. The call has a reference until readers have passed.
#[repr(C)]
#[derive(Debug)]
struct Bucket<const N: usize, const SIZE: usize, const PAGE: usize> {
    head: RcuHead,
    zone: NonNull<Zone<N, SIZE, PAGE>>,
    items: Vec<Fragment<PAGE>>,
}

// SAFETY: the items are the bucket's, and the zone may be shared.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Send for Bucket<N, SIZE, PAGE> {}
// SAFETY: as above.
unsafe impl<const N: usize, const SIZE: usize, const PAGE: usize> Sync for Bucket<N, SIZE, PAGE> {}

/// Full buckets, the oldest first.
type Queue<const N: usize, const SIZE: usize, const PAGE: usize> =
    VecDeque<Arc<Bucket<N, SIZE, PAGE>>>;

/// What the threads on one mm share.
#[derive(Debug)]
struct Zone<const N: usize, const SIZE: usize, const PAGE: usize> {
    queue: Mutex<Queue<N, SIZE, PAGE>>,
    slabs: Slabs<N, SIZE, PAGE>,
    /// Of the next bucket.
    room: AtomicUsize,
}

unsafe extern "C" fn passed<const N: usize, const SIZE: usize, const PAGE: usize>(
    head: NonNull<RcuHead>,
) {
    let bucket: NonNull<Bucket<N, SIZE, PAGE>> = head.cast();
    // SAFETY: the head is the first field of a bucket, and the call has a reference.
    let bucket = unsafe { Arc::from_raw(bucket.as_ptr()) };
    let zone = bucket.zone;
    // Before anybody takes the count for a sign that the bucket can be had.
    drop(bucket);
    // SAFETY: the zone waits for its buckets.
    unsafe { zone.as_ref() }.slabs.end();
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Zone<N, SIZE, PAGE> {
    fn new(source: Arc<Pages<PAGE>>) -> Self {
        let room = match SIZE {
            ..=256 => 64,
            257..=1024 => 16,
            1025..=2048 => 8,
            _ => 2,
        };
        let (queue, slabs) = (Mutex::default(), Slabs::new(source));
        Self { queue, slabs, room: AtomicUsize::new(room) }
    }

    /// Locks the queue, and makes buckets larger if it has to wait for it.
    fn lock(&self) -> MutexGuard<'_, Queue<N, SIZE, PAGE>> {
        self.queue.try_lock().unwrap_or_else(|_| {
            // An increment that gets lost does no harm.
            self.room.store((self.room() + 1).min(LARGEST), Ordering::Relaxed);
            lock(&self.queue)
        })
    }

    fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// Stamps a bucket and queues it.
    fn put(&self, items: Vec<Fragment<PAGE>>) {
        let (head, zone) = (RcuHead::new(), NonNull::from(self));
        let bucket = Arc::new(Bucket { head, zone, items });
        let stamped = NonNull::new(Arc::into_raw(bucket.clone()).cast_mut());
        let head = stamped.expect("no bucket lies at null").cast();
        self.lock().push_back(bucket);
        // SAFETY: nobody has queued the head before, and the zone waits for the bucket.
        unsafe { Domain::global().call(head, passed::<N, SIZE, PAGE>) };
        self.trim();
    }

    /// Takes the oldest bucket, if readers have passed it and the one `behind` places behind it.
    fn fetch(&self, behind: usize) -> Option<Vec<Fragment<PAGE>>> {
        let mut queue = self.lock();
        // The call's reference is gone, and nobody gets another.
        let is_free = |nth| queue.get(nth).is_some_and(|bucket| Arc::strong_count(bucket) == 1);
        if !is_free(behind) || !is_free(0) {
            return None;
        }
        let bucket = queue.pop_front()?;
        drop(queue);
        Arc::into_inner(bucket).map(|bucket| bucket.items)
    }

    /// Empties the buckets that are more than the queue may keep.
    fn trim(&self) {
        while let Some(items) = self.fetch(MOST) {
            self.slabs.put(items);
        }
    }
}

/// A zone for each mm. The zones do not move: buckets point to them.
#[derive(Debug)]
pub struct UmaSmr<const N: usize, const SIZE: usize, const PAGE: usize> {
    source: Arc<Pages<PAGE>>,
    zones: Vec<Zone<N, SIZE, PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Allocator for UmaSmr<N, SIZE, PAGE> {
    type Block = Fragment<PAGE>;
    type Handle<'a> = UmaSmrHandle<'a, N, SIZE, PAGE>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let source: Arc<Pages<PAGE>> = Pages::new().into();
        let zones = (0..setup.sharing.mms()).map(|_| Zone::new(source.clone())).collect();
        Self { source, zones }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        let zone = &self.zones[pool % self.zones.len()];
        UmaSmrHandle { zone, alloc: Vec::new(), free: Vec::with_capacity(zone.room()) }
    }

    fn quiesce(self) {
        for zone in &self.zones {
            zone.slabs.wait(Domain::global());
            while let Some(items) = zone.fetch(0) {
                zone.slabs.put(items);
            }
            zone.slabs.close();
        }
        assert_eq!(self.source.out(), 0, "a page is missing");
    }

    fn holding(&self) -> Holding {
        self.source.holding()
    }

    fn is_idle(&self) -> bool {
        self.zones.iter().all(|zone| zone.slabs.batches() == 0)
    }

    fn in_flight(&self, _: usize, _: &HashSet<usize>) -> usize {
        self.zones.iter().map(|zone| zone.slabs.batches()).sum()
    }
}

/// A thread's buckets. A block is retired through a handle of the mm that it is from.
#[derive(Debug)]
pub struct UmaSmrHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize> {
    zone: &'a Zone<N, SIZE, PAGE>,
    alloc: Vec<Fragment<PAGE>>,
    /// Full when it would have to grow.
    free: Vec<Fragment<PAGE>>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> UmaSmrHandle<'_, N, SIZE, PAGE> {
    #[cold]
    fn refill(&mut self) {
        match self.zone.fetch(0) {
            Some(items) => self.alloc = items,
            None => self.zone.slabs.take(self.zone.room(), &mut self.alloc),
        }
    }

    /// Exchanges the bucket that was freed into for a new one.
    #[cold]
    fn flush(&mut self) {
        if !self.free.is_empty() {
            let fresh = Vec::with_capacity(self.zone.room());
            self.zone.put(mem::replace(&mut self.free, fresh));
        }
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Handle
    for UmaSmrHandle<'_, N, SIZE, PAGE>
{
    type Block = Fragment<PAGE>;

    #[inline]
    fn allocate(&mut self) -> Fragment<PAGE> {
        loop {
            if let Some(item) = self.alloc.pop() {
                return item;
            }
            self.refill();
        }
    }

    #[inline]
    fn retire(&mut self, block: Fragment<PAGE>) {
        let _section = Domain::global().read();
        if self.free.is_empty() {
            self.zone.slabs.begin();
        }
        self.free.push(block);
        if self.free.len() == self.free.capacity() {
            self.flush();
        }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Domain::global().read();
        work()
    }

    fn progress(&mut self) {
        // As for `uma_reclaim`.
        self.flush();
        Domain::global().poll();
        self.zone.trim();
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize> Drop
    for UmaSmrHandle<'_, N, SIZE, PAGE>
{
    fn drop(&mut self) {
        self.flush();
        self.zone.slabs.put(self.alloc.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Sharing;

    #[test]
    fn buckets_come_back_in_order_when_readers_have_passed() {
        let uma = UmaSmr::<16, 256, 4096>::new(Setup { held: 0, sharing: Sharing::OneMm });
        let mut handle = uma.handle(0);
        let blocks: Vec<_> = (0..20 * 64).map(|_| handle.allocate()).collect();
        let first: Vec<_> = blocks[..64].iter().map(|block| block.addr).collect();
        let section = Domain::global().read();
        blocks.into_iter().for_each(|block| handle.retire(block));
        assert_eq!(uma.in_flight(0, &HashSet::new()), 20);
        assert!(uma.zones[0].fetch(0).is_none());
        drop(section);
        while !uma.is_idle() {
            Domain::global().poll();
        }
        let items = uma.zones[0].fetch(0).unwrap();
        assert!(items.iter().map(|item| item.addr).eq(first));
        uma.zones[0].slabs.put(items);
        handle.progress();
        assert_eq!(uma.zones[0].lock().len(), MOST);
        drop(handle);
        uma.quiesce();
    }
}
