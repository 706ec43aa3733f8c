//! Programs that run for long: threads that come and go, sections that retire much. Memory only; what they cost is
//! the benches'.

use std::{sync::Barrier, thread};

use ptfrag::{AllocError, Local, Mm, OwnedDomain, Region, Std};

fn times(real: usize) -> usize {
    if cfg!(miri) { real / 100 } else { real }
}

/// A server with a thread for each connection, one after the other.
#[test]
fn threads_that_end_leave_little() {
    for handles in [true, false] {
        let domain = OwnedDomain::new();
        let region = Region::<4096>::new(20_000).unwrap();
        let mm = Mm::<16, 256, _>::new(&domain, region.clone());
        let mut peak = 0;
        for _ in 0..times(5000) {
            let serve = || {
                let mut local = handles.then(|| mm.local());
                for _ in 0..40 {
                    let _guard = domain.read();
                    match &mut local {
                        Some(local) => local.alloc().map(|frag| local.retire(frag)).unwrap(),
                        None => mm.alloc().unwrap().retire(),
                    }
                }
            };
            thread::scope(|scope| scope.spawn(serve).join()).unwrap();
            peak = peak.max(16 * mm.pages());
        }
        assert!(peak <= 1000, "{peak} fragments at the peak, with handles: {handles}");
        drop(mm);
        (0..4).for_each(|_| domain.barrier());
        assert_eq!(region.pages_out(), 0);
    }
}

/// The same with a hundred at once, all of which sleep before they end.
#[test]
fn crowds_that_end_leave_little() {
    const CROWD: usize = 100;
    let domain = OwnedDomain::new();
    let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(20_000).unwrap());
    for _ in 0..times(100) {
        let together = Barrier::new(CROWD);
        let serve = || {
            for _ in 0..40 {
                let _guard = domain.read();
                mm.alloc().unwrap().retire();
            }
            together.wait();
        };
        thread::scope(|scope| (0..CROWD).for_each(|_| drop(scope.spawn(serve))));
    }
    // Each leaves what it has queued since its last poll, and each head may be that of a page.
    let most = CROWD * 40;
    assert!(mm.pages() <= most, "{} pages of {most}", mm.pages());
    (0..1000).for_each(|_| drop(domain.read()));
    (0..100).for_each(|_| _ = domain.poll());
    assert_eq!(mm.pages(), 0);
}

/// Retires so many in each of so many sections, and returns the most pages that were out.
fn peak<const FRAGS: usize, const SIZE: usize>(
    each: usize,
    sections: usize,
    handle: bool,
) -> Result<usize, AllocError> {
    type Pages<'d> = Std<'d, 4096>;
    let domain = OwnedDomain::new();
    let mm = Mm::<FRAGS, SIZE, Pages>::new(&domain, Region::new(1 << 16).unwrap());
    let mut local: Option<Local<FRAGS, SIZE, Pages>> = handle.then(|| mm.local());
    let mut peak = 0;
    for _ in 0..sections {
        let guard = domain.read();
        for _ in 0..each {
            match &mut local {
                Some(local) => local.alloc().map(|frag| local.retire(frag))?,
                None => mm.alloc()?.retire(),
            }
        }
        peak = peak.max(mm.pages());
        drop(guard);
    }
    Ok(peak)
}

/// However many a section retires, and however many sections there are, no backlog is left that grows.
#[test]
fn sections_that_retire_many() {
    for each in [10, 64, 130, 150, 700, 1500, 10_000] {
        let sections = times((200_000 / each).min(4000));
        for handle in [false, true] {
            let peaks = [
                (2, peak::<2, 2048>(each, sections, handle)),
                (16, peak::<16, 256>(each, sections, handle)),
            ];
            for (frags, peak) in peaks {
                let most = 4 * each.div_ceil(frags) + 64;
                // What a handle holds ready is its own, and not the domain's.
                let most = if handle { most + Local::<16, 256, Std>::HOLDS } else { most };
                let peak = peak.unwrap();
                assert!(
                    peak <= most,
                    "{peak} pages of {most}: {each} of {frags}, handle: {handle}"
                );
            }
        }
    }
}
