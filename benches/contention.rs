//! One mm under contention: allocate, touch and retire, with 1 and 2 threads.
//!
//! `cargo bench -p ptfrag-benches`. Ids are `pair/<who>/<frags>x<bytes>/fifo<live>/<threads>t`; one
//! iteration is one pair on each thread, everything drained.

use criterion::{Criterion, criterion_group, criterion_main};
use ptfrag::{Frag, Mm, OwnedDomain, Region, Std};
use ptfrag_benches::{Allocator, pairs};

/// The bare path: every fragment on its page's word.
struct Bare<'d, const N: usize, const SIZE: usize, const PAGE: usize> {
    domain: &'d OwnedDomain,
    region: Region<PAGE>,
    mm: Mm<N, SIZE, Std<'d, PAGE>>,
}

impl<'d, const N: usize, const SIZE: usize, const PAGE: usize> Allocator
    for Bare<'d, N, SIZE, PAGE>
{
    type Block = Frag<N, SIZE, Std<'d, PAGE>>;

    fn allocate(&self) -> Self::Block {
        let mut frag = loop {
            match self.mm.alloc() {
                Ok(frag) => break frag,
                // Everything waits for a grace period: help it along.
                Err(_) => drop(self.domain.poll()),
            }
        };
        frag[..16].copy_from_slice(&[0x5a; 16]);
        frag
    }

    fn retire(&self, frag: Self::Block) {
        let _section = self.domain.read();
        frag.retire();
    }

    fn quiesce(&self) {
        while self.region.pages_out() != 0 {
            self.domain.barrier();
        }
    }
}

fn geometry<const N: usize, const SIZE: usize, const PAGE: usize>(criterion: &mut Criterion) {
    for live in [64, 1024] {
        for threads in [1, 2] {
            let id = format!("pair/ptfrag-bare/{N}x{SIZE}/fifo{live}/{threads}t");
            criterion.bench_function(&id, |bencher| {
                bencher.iter_custom(|iterations| {
                    let domain = OwnedDomain::new();
                    let region = Region::new(1 << 16).expect("address space for the pages");
                    let mm = Mm::<N, SIZE, _>::new(&domain, region.clone());
                    let bare = Bare::<N, SIZE, PAGE> { domain: &domain, region, mm };
                    pairs(&bare, iterations, live, threads)
                });
            });
        }
    }
}

criterion_group! {
    name = contention;
    config = Criterion::default().sample_size(20);
    targets = geometry<16, 256, 4096>, geometry<2, 2048, 4096>
}
criterion_main!(contention);
