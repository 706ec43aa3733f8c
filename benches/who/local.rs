//! ptfrag's per-thread handles.

use std::collections::HashSet;

use ptfrag::{Domain, Embed, Frag, Local};

use super::bare::{Bare, Parts, insist};
use crate::allocator::{Allocator, Handle, Holding, Setup};

/// Retirements between two polls of a handle that enters no section.
const POLL: u32 = 64;

/// The bare path's pools, used through a handle on each thread.
///
/// A handle needs no section to retire: whoever unlinks blocks under a lock of its own, as page
/// tables are, enters none. Such a thread has to let callbacks run by itself: it
/// [polls](Domain::poll) at every 64th retirement. With `SECTION` each retirement stands in a
/// section, as everybody else's does, and leaving it runs callbacks now and then.
#[derive(Debug)]
pub struct Locals<
    const N: usize,
    const SIZE: usize,
    const PAGE: usize,
    const SECTION: bool,
    E: Embed,
>(Bare<N, SIZE, PAGE, E>);

impl<const N: usize, const SIZE: usize, const PAGE: usize, const SECTION: bool, E: Parts<PAGE>>
    Allocator for Locals<N, SIZE, PAGE, SECTION, E>
{
    type Block = Frag<N, SIZE, E>;
    type Handle<'a> = LocalHandle<N, SIZE, SECTION, E>;

    const PAGE: usize = PAGE;

    fn new(setup: Setup) -> Self {
        Self(Bare::new(setup))
    }

    fn handle(&self, pool: usize) -> Self::Handle<'_> {
        let (mm, domain) = self.0.pool(pool);
        LocalHandle { local: mm.local(), domain, retired: 0 }
    }

    fn quiesce(self) {
        self.0.quiesce();
    }

    fn holding(&self) -> Holding {
        self.0.holding()
    }

    fn in_flight(&self, held: usize, pages: &HashSet<usize>) -> usize {
        // A handle has one call in flight at most; the caller's is taken to have it.
        self.0.in_flight(held, pages) + 1
    }
}

/// A thread's handle.
#[derive(Debug)]
pub struct LocalHandle<const N: usize, const SIZE: usize, const SECTION: bool, E: Embed> {
    local: Local<N, SIZE, E>,
    domain: &'static Domain,
    retired: u32,
}

impl<const N: usize, const SIZE: usize, const SECTION: bool, E: Embed> Handle
    for LocalHandle<N, SIZE, SECTION, E>
{
    type Block = Frag<N, SIZE, E>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        insist(self.domain, || self.local.alloc())
    }

    #[inline]
    fn retire(&mut self, frag: Self::Block) {
        if SECTION {
            let _section = self.domain.read();
            self.local.retire(frag);
        } else {
            self.local.retire(frag);
            self.retired = self.retired.wrapping_add(1);
            if self.retired % POLL == 0 {
                self.domain.poll();
            }
        }
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = self.domain.read();
        work()
    }

    fn progress(&mut self) {
        // What waits in the handle cannot go to its page.
        self.local.flush();
        self.domain.poll();
    }
}
