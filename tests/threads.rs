//! Real threads on the built-in parts: writers that publish, replace and free, readers that verify.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{AllocError, Frag, Hooks, Mm, OwnedDomain, Region, Slot, Std};

const ROUNDS: u64 = 20_000;

/// Counts what the hook is called for.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Hooks for Count {
    fn reclaim(&self, _: std::ptr::NonNull<u8>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn stamp<const N: usize, const SIZE: usize>(frag: &mut Frag<N, SIZE, impl ptfrag::Embed>, id: u64) {
    for word in frag.chunks_exact_mut(8) {
        word.copy_from_slice(&id.to_ne_bytes());
    }
}

/// The stamp, if it is the same throughout.
fn read_stamp(bytes: &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    rest.chunks_exact(8).all(|word| word == first).then(|| u64::from_ne_bytes(*first))
}

/// Two writers and two readers on the slots of two mms, one of which closes half way.
fn churn<const N: usize, const SIZE: usize, const PAGE: usize>() {
    let domain = OwnedDomain::new();
    let region = Region::<PAGE>::new(4096).unwrap();
    let hook = Count::default();
    type Pool<'d, const N: usize, const SIZE: usize, const PAGE: usize> =
        Mm<N, SIZE, Std<'d, PAGE, Count>>;
    let mms: [Pool<'_, N, SIZE, PAGE>; 2] =
        [(), ()].map(|()| Mm::new_in(&*domain, region.clone(), hook.clone()));
    let slots: Vec<Slot<N, SIZE, Std<'_, PAGE, Count>>> =
        (0..32).map(|at| mms[at % 2].slot()).collect();
    let (retired, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let writers = [1, 2].map(|writer| {
            let (domain, mms, slots, retired) = (&domain, &mms, &slots, &retired);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let at = (round * 7 + writer * 13) as usize % slots.len();
                    if writer == 1 && round == ROUNDS / 2 {
                        mms[1].close();
                    }
                    match mms[at % 2].alloc() {
                        Ok(mut frag) => {
                            stamp(&mut frag, round << 8 | at as u64);
                            match round % 5 {
                                0 => frag.give_back(),
                                1 => frag.retire(),
                                _ => slots[at].publish(frag),
                            }
                            retired.fetch_add(usize::from(round % 5 != 0), Ordering::Relaxed);
                        }
                        Err(AllocError) => slots[at].clear(),
                    }
                    drop(domain.read());
                }
            })
        });
        for reader in 0..2 {
            let (domain, slots, done) = (&domain, &slots, &done);
            scope.spawn(move || {
                let mut at = reader;
                while !done.load(Ordering::Relaxed) {
                    let guard = domain.read();
                    at = (at + 5) % slots.len();
                    if let Some(bytes) = slots[at].load(&guard) {
                        let first = read_stamp(bytes).expect("one stamp throughout");
                        assert_eq!(first & 0xff, at as u64, "published in this slot");
                        thread::yield_now();
                        assert_eq!(read_stamp(bytes), Some(first), "kept while it is read");
                    }
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    drop((mms, slots));
    // Callbacks call again, a few times over.
    (0..16).for_each(|_| domain.barrier());
    assert_eq!(region.pages_out(), 0);
    // All that was published has been replaced or cleared, and so retired.
    assert_eq!(hook.0.load(Ordering::Relaxed), retired.into_inner());
}

#[test]
fn pages_of_16() {
    churn::<16, 256, 4096>();
}

#[test]
fn pages_of_2() {
    churn::<2, 2048, 4096>();
}

/// A domain that is dropped runs what is left, on whichever thread that is.
#[test]
fn the_domain_goes_first_after_the_mm() {
    let region = Region::<4096>::new(8).unwrap();
    let domain = OwnedDomain::new();
    let mm = Mm::<8, 512, _>::new(&domain, region.clone());
    let frags: Vec<_> = (0..20).map(|_| mm.alloc().unwrap()).collect();
    Frag::retire_all(frags);
    drop(mm);
    assert_eq!(region.pages_out(), 3);
    thread::spawn(move || drop(domain)).join().unwrap();
    assert_eq!(region.pages_out(), 0);
}
