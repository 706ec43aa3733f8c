//! ptfrag's bare path: every fragment on its page's word.

use std::{collections::HashSet, ptr::NonNull};

use ptfrag::{AllocError, Domain, Embed, Frag, Mm, OwnedDomain, PageDesc, Region, Std};

use super::pages::PAGES;
use crate::allocator::{Allocator, Block, Handle, Holding, Setup, Sharing};

/// The parts of an mm, made from a domain and a region.
pub trait Parts<const PAGE: usize>: Embed + 'static {
    /// An mm of these parts.
    fn mm<const N: usize, const SIZE: usize>(
        domain: &'static Domain,
        region: Region<PAGE>,
    ) -> Mm<N, SIZE, Self>
    where
        Self: Sized;
}

impl<const PAGE: usize> Parts<PAGE> for Std<'static, PAGE> {
    fn mm<const N: usize, const SIZE: usize>(
        domain: &'static Domain,
        region: Region<PAGE>,
    ) -> Mm<N, SIZE, Self> {
        Mm::new(domain, region)
    }
}

/// One mm, or two that share less and less, with `LANES` lanes each.
#[derive(Debug)]
pub struct Bare<
    const N: usize,
    const SIZE: usize,
    const PAGE: usize,
    E: Embed,
    const LANES: usize = 1,
> {
    pools: Vec<Pool<N, SIZE, PAGE, E>>,
}

#[derive(Debug)]
struct Pool<const N: usize, const SIZE: usize, const PAGE: usize, E: Embed> {
    domain: &'static Domain,
    region: Region<PAGE>,
    mm: Mm<N, SIZE, E>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize, E: Embed, const LANES: usize>
    Bare<N, SIZE, PAGE, E, LANES>
{
    /// One of the mms, and its domain.
    pub(super) fn pool(&self, nth: usize) -> (&Mm<N, SIZE, E>, &'static Domain) {
        let pool = &self.pools[nth % self.pools.len()];
        (&pool.mm, pool.domain)
    }
}

/// Allocates, and where everything waits for a grace period helps it along.
#[inline(always)]
pub(super) fn insist<T>(domain: &Domain, mut alloc: impl FnMut() -> Result<T, AllocError>) -> T {
    loop {
        match alloc() {
            Ok(frag) => return frag,
            Err(_) => drop(domain.poll()),
        }
    }
}

fn region<const PAGE: usize>(sharing: Sharing) -> Region<PAGE> {
    let keep = if sharing == Sharing::Warm { usize::MAX } else { Region::<PAGE>::DEFAULT_KEEP };
    Region::with_keep(PAGES, keep).expect("address space for the pages")
}

impl<const N: usize, const SIZE: usize, E: Embed> Block for Frag<N, SIZE, E> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        self.as_ptr().as_ptr()
    }
}

impl<const N: usize, const SIZE: usize, const PAGE: usize, E: Parts<PAGE>, const LANES: usize>
    Allocator for Bare<N, SIZE, PAGE, E, LANES>
{
    type Block = Frag<N, SIZE, E>;
    type Handle<'a> = BareHandle<'a, N, SIZE, PAGE, E>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        let shared = region(setup.sharing);
        let pool = |nth| {
            let domain = match (nth, setup.sharing) {
                // Domains that nobody owns live as long as the process, as the global one does.
                (1, Sharing::Nothing) => &**Box::leak(Box::new(OwnedDomain::new())),
                _ => Domain::global(),
            };
            let region = match (nth, setup.sharing) {
                (1, Sharing::TwoSources | Sharing::Nothing) => region(setup.sharing),
                _ => shared.clone(),
            };
            Pool { domain, mm: E::mm(domain, region.clone()).lanes(LANES), region }
        };
        Self { pools: (0..setup.sharing.mms()).map(pool).collect() }
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        BareHandle { pool: &self.pools[pool % self.pools.len()] }
    }

    fn quiesce(self) {
        for pool in &self.pools {
            while pool.region.pages_out() != 0 {
                pool.domain.barrier();
            }
        }
    }

    fn holding(&self) -> Holding {
        // The pools of one region have one count; two regions are only used where time is measured.
        let pages = self.pools[0].region.pages_out();
        Holding { bytes: pages * PAGE, heap: 0, beside: pages * size_of::<PageDesc>() }
    }

    fn in_flight(&self, _: usize, pages: &HashSet<usize>) -> usize {
        let waits = |&page: &usize| {
            // Only asked for with one pool, in whose region the page lies.
            let addr = NonNull::new(page as *mut u8).expect("no page lies at null");
            let word = self.pools[0].mm.page_word(addr);
            word.is_some_and(|word| !word.pending().is_empty())
        };
        pages.iter().filter(|page| waits(page)).count()
    }
}

/// A thread's way to its mm: nothing of its own.
#[derive(Debug)]
pub struct BareHandle<'a, const N: usize, const SIZE: usize, const PAGE: usize, E: Embed> {
    pool: &'a Pool<N, SIZE, PAGE, E>,
}

impl<const N: usize, const SIZE: usize, const PAGE: usize, E: Embed> Handle
    for BareHandle<'_, N, SIZE, PAGE, E>
{
    type Block = Frag<N, SIZE, E>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        insist(self.pool.domain, || self.pool.mm.alloc())
    }

    #[inline]
    fn retire(&mut self, frag: Self::Block) {
        let _section = self.pool.domain.read();
        frag.retire();
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = self.pool.domain.read();
        work()
    }

    fn progress(&mut self) {
        self.pool.domain.poll();
    }
}
