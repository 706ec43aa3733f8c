//! The typed pool.

#![cfg(all(unix, feature = "std"))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{Domain, Drops, Link, Mm, Owned, OwnedDomain, Pool, Region, Std, pool_of};

/// Counts how often it is dropped.
struct Counted {
    drops: Arc<AtomicUsize>,
    stamp: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert_eq!(self.stamp, 0x5eed, "dropped twice, or before it was there");
        self.stamp = 0;
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

type Small<'d, T> = Pool<T, 16, 64, Std<'d, 1024, Drops<T>>>;

fn counted(drops: &Arc<AtomicUsize>) -> Counted {
    Counted { drops: drops.clone(), stamp: 0x5eed }
}

/// Polls until nothing is left to run.
fn settle(domain: &Domain, region: &Region<1024>) {
    for _ in 0..100 {
        if region.pages_out() == 0 {
            return;
        }
        domain.barrier();
    }
    panic!("{} pages are out", region.pages_out());
}

#[test]
fn a_value_is_dropped_once() {
    let (domain, region) = (OwnedDomain::new(), Region::new(8).unwrap());
    let pool = Small::new(&domain, region.clone());
    let drops = Arc::new(AtomicUsize::new(0));
    let now = || drops.load(Ordering::Relaxed);

    drop(pool.alloc(counted(&drops)).unwrap());
    assert_eq!(now(), 1, "one that nobody has seen is dropped at once");

    let out = pool.alloc(counted(&drops)).unwrap().into_inner();
    assert_eq!(now(), 1);
    drop(out);
    assert_eq!(now(), 2);

    let link = pool.link();
    link.publish(pool.alloc(counted(&drops)).unwrap());
    let guard = domain.read();
    let seen = link.load(&guard).unwrap();
    link.publish(pool.alloc(counted(&drops)).unwrap());
    domain.poll();
    assert_eq!((now(), seen.stamp), (2, 0x5eed), "a reader has it");
    drop(guard);
    domain.barrier();
    assert_eq!(now(), 3);

    drop(link);
    drop(pool);
    settle(&domain, &region);
    assert_eq!(now(), 4);
}

#[test]
fn what_is_full_gives_the_value_back() {
    let (domain, region) = (OwnedDomain::new(), Region::new(1).unwrap());
    let pool = Small::new(&domain, region);
    let all: Vec<_> = (0..16).map(|n: usize| pool.alloc(n.to_string()).unwrap()).collect();
    let full = pool.alloc("one more".to_owned()).unwrap_err();
    assert_eq!(full.0, "one more");
    let mut handle = pool.handle();
    assert_eq!(handle.alloc("and one".to_owned()).unwrap_err().0, "and one");
    assert!(all.iter().enumerate().all(|(n, value)| **value == n.to_string()));
}

#[test]
fn published_only_where_it_was() {
    let (domain, region) = (OwnedDomain::new(), Region::new(4).unwrap());
    let pool = Small::new(&domain, region);
    let link = pool.link();
    let guard = domain.read();
    assert!(link.publish_if(None, pool.alloc(1_u64).unwrap()).is_ok());
    let one = link.load(&guard);
    let refused = link.publish_if(None, pool.alloc(2).unwrap()).unwrap_err();
    assert_eq!(*refused, 2);
    let stranger = 1;
    let refused = link.publish_if(Some(&stranger), refused).unwrap_err();
    assert!(link.publish_if(one, refused).is_ok());
    assert_eq!(link.load(&guard), Some(&2));
    assert_eq!(one, Some(&1));
}

/// By a handle as without one; what was there is dropped after its grace period, once.
#[test]
fn taken_back_only_where_it_was() {
    let (domain, region) = (OwnedDomain::new(), Region::new(8).unwrap());
    let pool = Small::new(&domain, region.clone());
    let drops = Arc::new(AtomicUsize::new(0));
    let link = pool.link();
    let mut handle = pool.handle();
    {
        let guard = domain.read();
        let one = handle.alloc(counted(&drops)).unwrap();
        assert!(handle.publish_if(&link, None, one).is_ok());
        let one = link.load(&guard);
        let two = handle.alloc(counted(&drops)).unwrap();
        let two = handle.publish_if(&link, None, two).unwrap_err();
        assert!(handle.publish_if(&link, one, two).is_ok());
        let (one, two) = (one.unwrap(), link.load(&guard).unwrap());
        assert!(!handle.clear_if(&link, one) && !link.clear_if(one));
        assert!(link.load(&guard).is_some());
        assert!(handle.clear_if(&link, two) && !handle.clear_if(&link, two));
        assert!(link.load(&guard).is_none() && !link.clear_if(two));
        link.publish(pool.alloc(counted(&drops)).unwrap());
        assert!(link.clear_if(link.load(&guard).unwrap()));
        assert_eq!(drops.load(Ordering::Relaxed), 0, "they may be read until the guard is dropped");
    }
    drop((handle, link, pool));
    settle(&domain, &region);
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

#[test]
fn counters_that_are_replaced_lose_nothing() {
    let (domain, region) = (OwnedDomain::new(), Region::new(2048).unwrap());
    // Room for all, since a thread may be stopped in a section for as long as the others take.
    let pool = Small::new(&domain, region.clone());
    let link = pool.link();
    link.publish(pool.alloc(0_u64).unwrap());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5000 {
                    let mut next = pool.alloc(0).unwrap();
                    loop {
                        let guard = domain.read();
                        let now = link.load(&guard).unwrap();
                        *next = *now + 1;
                        match link.publish_if(Some(now), next) {
                            Ok(()) => break,
                            Err(back) => next = back,
                        }
                    }
                }
            });
        }
    });
    assert_eq!(link.load(&domain.read()), Some(&20_000));
    drop((link, pool));
    settle(&domain, &region);
}

/// Readers follow what others replace, through handles too; all destructors run, once.
#[test]
fn readers_and_writers() {
    let (domain, region) = (OwnedDomain::new(), Region::new(2048).unwrap());
    let pool = Small::new(&domain, region.clone()).lanes(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let links: Vec<_> = (0..8).map(|_| pool.link()).collect();
    thread::scope(|scope| {
        for writer in 0..2 {
            let (domain, pool, links, drops) = (&domain, &pool, &links, &drops);
            scope.spawn(move || {
                let mut handle = pool.handle();
                for round in 0..4000 {
                    let link = &links[(round * 5 + writer) % 8];
                    let value = counted(drops);
                    match (writer, round % 7) {
                        (0, 0) => handle.clear(link),
                        (0, _) => {
                            let value = handle.alloc(value).unwrap();
                            handle.publish(link, value);
                        }
                        (_, 0) => link.clear(),
                        (..) => link.publish(pool.alloc(value).unwrap()),
                    }
                    if round % 16 == 0 {
                        drop(domain.read());
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..4000 {
                    let guard = domain.read();
                    let seen: Vec<_> = links.iter().filter_map(|link| link.load(&guard)).collect();
                    if round % 8 == 0 {
                        thread::yield_now();
                    }
                    assert!(seen.iter().all(|value| value.stamp == 0x5eed));
                }
            });
        }
    });
    drop((links, pool));
    settle(&domain, &region);
    assert_eq!(drops.load(Ordering::Relaxed), 8000);
}

struct Node {
    number: usize,
    next: Option<Link<Node, 16, 64, Std<'static, 1024, Drops<Node>>>>,
}

/// A list that is dropped takes itself apart, one node after the other.
#[test]
fn a_list_takes_itself_apart() {
    let domain: &'static Domain = Box::leak(Box::new(OwnedDomain::new()));
    let region = Region::new(64).unwrap();
    let pool = Small::<'static, Node>::new(domain, region.clone());
    let mut first = None;
    for number in 0..200 {
        let link = pool.link();
        link.publish(pool.alloc(Node { number, next: first }).unwrap());
        first = Some(link);
    }
    {
        let guard = domain.read();
        let mut at = first.as_ref().and_then(|link| link.load(&guard));
        for number in (0..200).rev() {
            let node = at.unwrap();
            assert_eq!(node.number, number);
            at = node.next.as_ref().and_then(|link| link.load(&guard));
        }
    }
    drop((first, pool));
    for _ in 0..10_000 {
        domain.poll();
    }
    settle(domain, &region);
}

#[test]
fn the_fragment_of_a_value_that_panics_comes_back() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let (domain, region) = (OwnedDomain::new(), Region::new(1).unwrap());
    let pool = Small::new(&domain, region.clone());
    let owned = pool.alloc((Bomb, 0_u8)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(owned))).is_err());
    assert_eq!(region.pages_out(), 0);
}

#[test]
fn another_pools_value_is_dropped() {
    let (domain, region) = (OwnedDomain::new(), Region::new(4).unwrap());
    let [one, other] = [(); 2].map(|()| Small::new(&domain, region.clone()));
    let drops = Arc::new(AtomicUsize::new(0));
    let link = one.link();
    let mut handle = one.handle();
    let value = || other.alloc(counted(&drops)).unwrap();
    let attempts: [&mut dyn FnMut(Owned<_, 16, 64, _>); 3] = [
        &mut |value| link.publish(value),
        &mut |value| drop(link.publish_if(None, value)),
        &mut |value| handle.publish(&link, value),
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let value = value();
        let panic = catch_unwind(AssertUnwindSafe(|| attempt(value))).unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        assert_eq!(*text, "ptfrag: the value is of another pool");
        assert_eq!(drops.load(Ordering::Relaxed), number + 1);
    }
    assert!(link.load(&domain.read()).is_none());
}

#[test]
#[should_panic(expected = "ptfrag: wrong guard")]
fn another_domains_guard() {
    let (domain, other) = (OwnedDomain::new(), OwnedDomain::new());
    let pool = Small::new(&domain, Region::new(4).unwrap());
    let link = pool.link();
    link.publish(pool.alloc(1_u8).unwrap());
    let _seen = link.load(&other.read());
}

/// Values leave bytes that are not initialised; who gets the page next may read it all the same.
#[test]
fn a_page_is_cleared_before_others_get_it() {
    let (domain, region) = (OwnedDomain::new(), Region::<1024>::new(1).unwrap());
    let pool = Small::new(&domain, region.clone());
    let values: Vec<_> = (0..16).map(|n| pool.alloc((n as u8, u64::MAX)).unwrap()).collect();
    drop(values);
    assert_eq!(region.pages_out(), 0);
    let bytes = Mm::<16, 64, _>::new(&domain, region);
    let frag = bytes.alloc().unwrap();
    assert!(frag.iter().all(|byte| *byte == 0));
}

#[test]
fn the_geometry_fits() {
    #[repr(align(128))]
    struct Aligned(#[expect(dead_code)] u8);
    let region = Region::new(4).unwrap();
    let pool = <pool_of!(Aligned)>::new(Domain::global(), region);
    let value = pool.alloc(Aligned(1)).unwrap();
    assert_eq!((&raw const *value).addr() % 128, 0);
    assert_eq!(ptfrag::fit::<[u8; 33]>(), 64);
    assert_eq!(ptfrag::fit::<[u8; 64]>(), 64);
    assert_eq!(ptfrag::fit::<u8>(), 2 * size_of::<usize>());
    let large = <pool_of!([u64; 1000])>::new(Domain::global(), Region::new(2).unwrap());
    assert_eq!(large.alloc([7; 1000]).unwrap()[999], 7);
}
