//! Pages that are fragments of larger ones.

#![cfg(all(unix, feature = "std"))]

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::Arc,
    thread,
};

use ptfrag::{
    Domain, Embed, Hooks, Mm, Nested, NumberedSource, OwnedDomain, PageSource, Region, SpinLock,
    Std,
};

type Large = Std<'static, 65536>;
type Middle = Nested<16, 4096, Large>;

struct Of<S>(S);

impl<S: PageSource> Embed for Of<S> {
    type Rcu = &'static Domain;
    type Source = S;
    type Lock = SpinLock;
    type Hooks = ();
}

fn domain() -> &'static Domain {
    Box::leak(Box::new(OwnedDomain::new()))
}

fn nested(domain: &'static Domain, region: &Region<65536>) -> Middle {
    Nested::new(Mm::<16, 4096, Large>::new(domain, region.clone())).unwrap()
}

#[test]
fn a_large_page_gives_256_fragments() {
    let (domain, region) = (domain(), Region::new(4).unwrap());
    let mm = Mm::<16, 256, Of<Middle>>::new_in(domain, nested(domain, &region), ());
    let frags: Vec<_> = (0..256).map(|_| mm.alloc().unwrap()).collect();
    assert_eq!((region.pages_out(), mm.pages()), (1, 16));
    let places: HashSet<_> = frags.iter().map(|frag| frag.as_ptr()).collect();
    assert_eq!(places.len(), 256);
    drop(frags);
    assert_eq!((region.pages_out(), mm.pages()), (0, 0));
}

#[test]
fn three_levels() {
    let (domain, region) = (domain(), Region::new(2).unwrap());
    type Small = Nested<16, 256, Of<Middle>>;
    let middle = Mm::new_in(domain, nested(domain, &region), ());
    let small = Small::new(middle).unwrap();
    assert_eq!(small.count(), 2 * 16 * 16);
    let mm = Mm::<16, 16, Of<Small>>::new_in(domain, small, ());
    let frags: Vec<_> = (0..2 * 4096).map(|_| mm.alloc().unwrap()).collect();
    assert!(mm.alloc().is_err());
    assert_eq!(region.pages_out(), 2);
    drop(frags);
    assert_eq!(region.pages_out(), 0);
}

/// Several mms over one nested source, shared between threads; pages come back from callbacks.
#[test]
fn retired_by_threads() {
    let (domain, region) = (domain(), Region::new(64).unwrap());
    let pages = Arc::new(nested(domain, &region));
    thread::scope(|scope| {
        for _ in 0..4 {
            let pages = pages.clone();
            scope.spawn(move || {
                let mm = Mm::<16, 256, Of<Arc<Middle>>>::new_in(domain, pages, ());
                let mut held = Vec::new();
                for round in 0..6000_usize {
                    held.push(mm.alloc().unwrap());
                    if held.len() > 64 {
                        let mut frag = held.swap_remove(round * 7 % held.len());
                        frag[100] = round as u8;
                        let _section = domain.read();
                        frag.retire();
                    }
                }
            });
        }
    });
    drop(pages);
    while region.pages_out() != 0 {
        domain.barrier();
    }
}

#[test]
fn numbers() {
    let (domain, region) = (domain(), Region::new(3).unwrap());
    let pages = nested(domain, &region);
    let mut seen = HashSet::new();
    let mut got = Vec::new();
    while let Ok(page) = pages.get() {
        // SAFETY: just got.
        let addr = unsafe { pages.addr(page) };
        assert_eq!(addr.addr().get() % 4096, 0);
        assert_eq!(pages.desc(addr), Some(page));
        assert!(pages.number(page) < pages.count() && seen.insert(pages.number(page)));
        got.push(page);
    }
    assert_eq!(got.len(), 48);
    assert!(pages.is_scarce());
    // SAFETY: got above.
    got.into_iter().for_each(|page| unsafe { pages.put(page) });
    drop(pages);
    while region.pages_out() != 0 {
        domain.barrier();
    }
}

/// The parent's hook panics when a page comes back: the child's page is home all the same, and nothing is kept by it.
#[test]
fn a_panic_of_the_parents_hook() {
    struct Grumbles;

    impl Hooks for Grumbles {
        fn page_out(&self, _: NonNull<u8>) {
            panic!("not today");
        }
    }

    type Parent = Std<'static, 65536, Grumbles>;
    let (domain, region) = (domain(), Region::new(1).unwrap());
    let parent = Mm::<16, 4096, Parent>::new_in(domain, region.clone(), Grumbles);
    let pages = Arc::new(Nested::new(parent).unwrap());
    let mm = Mm::<16, 256, Of<Arc<Nested<16, 4096, Parent>>>>::new_in(domain, pages.clone(), ());
    let frag = mm.alloc().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(frag))).is_err());
    assert_eq!((mm.pages(), region.pages_out()), (0, 0));
    drop(mm);
    assert_eq!(Arc::strong_count(&pages), 1);
}
