//! The map of `examples/map`, beside the standard library's.

#![cfg(all(unix, feature = "std"))]

#[path = "../examples/map/iter.rs"]
mod iter;
#[path = "../examples/map/map.rs"]
mod map;
#[path = "../examples/map/node.rs"]
mod node;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use map::Map;
use node::{InsertError, LEAF};
use proptest::prelude::*;
use ptfrag::{Domain, Region};

/// So few hashes that leaves fill and branches grow deep; those of some keys are the same.
#[derive(Clone, Copy)]
struct FewHashes(u64);

impl BuildHasher for FewHashes {
    type Hasher = Few;

    fn build_hasher(&self) -> Few {
        Few { hashes: self.0, seen: 0 }
    }
}

struct Few {
    hashes: u64,
    seen: u64,
}

impl Hasher for Few {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.seen = self.seen << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.seen = number;
    }

    fn finish(&self) -> u64 {
        // Keys that follow each other have hashes that differ in the last bits that a trie looks at.
        (self.seen % self.hashes) << 58
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64),
    Get(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..60_u64;
    prop_oneof![
        (key.clone(), any::<u64>()).prop_map(|(key, value)| Step::Insert(key, value)),
        key.clone().prop_map(Step::Remove),
        key.prop_map(Step::Get),
    ]
}

fn agrees(steps: &[Step], hasher: impl BuildHasher) {
    let map = Map::in_region(8, Region::new(1000).unwrap(), hasher);
    let mut handle = map.handle();
    let mut other = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Insert(key, value) => {
                assert_eq!(handle.insert(key, value), Ok(other.insert(key, value)));
            }
            Step::Remove(key) => assert_eq!(handle.remove(&key), Ok(other.remove(&key))),
            Step::Get(key) => {
                assert_eq!(map.get(&key, &Domain::global().read()), other.get(&key));
            }
        }
    }
    let section = Domain::global().read();
    let mut all: Vec<_> = map.iter(&section).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(&other));
}

proptest! {
    #[test]
    fn one_thread_sees_what_it_did(steps in prop::collection::vec(step(), 0..400)) {
        agrees(&steps, RandomState::new());
        agrees(&steps, FewHashes(60));
        agrees(&steps, FewHashes(12));
    }
}

/// Ends who goes on until the others are done, also where one of these panics.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads with keys of their own, which share leaves, find their own; who goes through all meanwhile finds no entry twice,
/// and none that nobody put there.
#[test]
fn threads_with_keys_of_their_own() {
    const THREADS: u64 = 4;
    const KEYS: u64 = 3000;
    let map = Map::<u64, u64>::new(64, 100_000).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let map = &map;
                scope.spawn(move || {
                    let mut handle = map.handle();
                    let mut own = HashMap::new();
                    let mut random = fastrand::Rng::with_seed(thread);
                    for round in 0..100_000 {
                        let key = random.u64(..KEYS) * THREADS + thread;
                        if random.u8(..3) == 0 {
                            assert_eq!(handle.remove(&key), Ok(own.remove(&key)));
                        } else {
                            let value = key << 32 | round;
                            assert_eq!(handle.insert(key, value), Ok(own.insert(key, value)));
                        }
                        let key = random.u64(..KEYS) * THREADS + thread;
                        assert_eq!(map.get(&key, &Domain::global().read()), own.get(&key));
                    }
                    own
                })
            })
            .collect();
        let finish = Finish(&done);
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let section = Domain::global().read();
                let mut keys: Vec<_> = map
                    .iter(&section)
                    .map(|(key, value)| {
                        assert_eq!(*key, value >> 32);
                        *key
                    })
                    .collect();
                let count = keys.len();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), count, "an entry came twice");
            }
        });
        let mut all = BTreeMap::new();
        writers.into_iter().for_each(|writer| all.extend(writer.join().unwrap()));
        drop(finish);
        reader.join().unwrap();
        let section = Domain::global().read();
        let found: BTreeMap<_, _> = map.iter(&section).map(|(key, value)| (*key, *value)).collect();
        assert_eq!(found, all);
    });
}

/// Threads that insert and remove the same few keys: each key comes and goes in turn, whoever does it.
#[test]
fn threads_with_the_same_keys() {
    const KEYS: usize = 10;
    let map = Map::in_region(2, Region::new(30_000).unwrap(), FewHashes(KEYS as u64));
    let mut balance = [0_i64; KEYS];
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let map = &map;
                scope.spawn(move || {
                    let mut handle = map.handle();
                    let mut random = fastrand::Rng::with_seed(thread);
                    let mut balance = [0; KEYS];
                    for _ in 0..100_000 {
                        let key = random.usize(..KEYS);
                        if random.bool() {
                            let old = handle.insert(key as u64, key as u64).unwrap();
                            balance[key] += i64::from(old.is_none());
                        } else {
                            let old = handle.remove(&(key as u64)).unwrap();
                            balance[key] -= i64::from(old.is_some());
                        }
                    }
                    balance
                })
            })
            .collect();
        for thread in threads {
            let of_one = thread.join().unwrap();
            balance.iter_mut().zip(of_one).for_each(|(all, one)| *all += one);
        }
    });
    let section = Domain::global().read();
    for (key, balance) in balance.into_iter().enumerate() {
        let there = map.get(&(key as u64), &section).is_some();
        assert_eq!(balance, i64::from(there), "{key}");
    }
}

/// What has the same hash fits one leaf, and no more; nothing is lost by the attempt.
#[test]
fn too_many_keys_of_one_hash() {
    let map = Map::in_region(8, Region::new(1000).unwrap(), FewHashes(1));
    let mut handle = map.handle();
    for key in 0..LEAF as u64 {
        assert_eq!(handle.insert(key, key), Ok(None));
    }
    assert_eq!(handle.insert(99, 99), Err(InsertError::SameHash));
    assert_eq!(handle.insert(3, 33), Ok(Some(3)));
    assert_eq!(handle.remove(&4), Ok(Some(4)));
    assert_eq!(handle.insert(99, 99), Ok(None));
    assert_eq!(map.iter(&Domain::global().read()).count(), LEAF);
}

/// Without a page for a node, nothing changes.
#[test]
fn a_map_that_is_full() {
    const PAGES: usize = 64;
    let map = Map::<u64, u64>::new(8, PAGES).unwrap();
    let mut handle = map.handle();
    let mut inside = 0;
    // What was replaced is still waiting, perhaps: other tests' threads may be stopped in a section.
    let mut insert = |key| {
        (0..100).any(|_| {
            let inserted = handle.insert(key, key).is_ok();
            if !inserted {
                Domain::global().barrier();
            }
            inserted
        })
    };
    while insert(inside) {
        inside += 1;
    }
    assert!(inside > 2 * 16 * PAGES as u64, "{inside}");
    let section = Domain::global().read();
    assert!((0..inside).all(|key| map.get(&key, &section) == Some(&key)));
    assert_eq!(map.iter(&section).count() as u64, inside);
}

/// Of a map that is emptied only branches are left, of one that is dropped nothing; values are dropped once.
#[test]
fn memory_comes_back() {
    const ENTRIES: u64 = 100_000;
    let value = std::sync::Arc::new(());
    let region = Region::new(100_000).unwrap();
    let map = Map::in_region(ENTRIES as usize, region.clone(), RandomState::new());
    let mut handle = map.handle();
    for key in 0..ENTRIES {
        handle.insert(key, value.clone()).unwrap();
    }
    let full = map.pages();
    for key in 0..ENTRIES {
        assert!(handle.remove(&key).unwrap().is_some());
    }
    drop(handle);
    for _ in 0..100 {
        Domain::global().barrier();
    }
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
    assert!(map.pages() < full / 4, "{} of {full}", map.pages());
    drop(map);
    for _ in 0..100 {
        Domain::global().barrier();
    }
    assert_eq!(region.pages_out(), 0);
}
