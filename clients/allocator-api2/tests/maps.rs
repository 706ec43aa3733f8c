//! hashbrown's maps and sets.

use std::{
    hash::{BuildHasherDefault, DefaultHasher, Hash},
    panic::{AssertUnwindSafe, catch_unwind},
};

use allocator_api2_02::alloc::Global;
use hashbrown::{HashMap, HashSet};
use proptest::prelude::*;
use ptfrag_client_allocator_api2::{Handle, InFragments};

use self::parts::{Bomb, Counter, mm, small};

#[path = "any/parts.rs"]
mod parts;

/// The same order in each run.
type Hasher = BuildHasherDefault<DefaultHasher>;
type Map<K, V, A> = HashMap<K, V, Hasher, A>;

/// Fills a map as far as it goes, and says how far, and how many bytes such a table has.
fn most<const FRAGS: usize, const SIZE: usize, K: Hash + Eq, V: Default>(
    key: impl Fn(u32) -> K,
) -> (usize, usize) {
    let (mm, source) = mm::<FRAGS, SIZE>(1);
    let mut map = Map::with_hasher_in(Hasher::default(), InFragments::new(&mm));
    let mut place = None;
    while map.try_reserve(1).is_ok() {
        map.insert(key(map.len() as u32), V::default());
        let first = map.get(&key(0)).map(|value| (&raw const *value).addr());
        assert_eq!(*place.get_or_insert(first), first, "the first table is the last");
    }
    assert_eq!(map.len(), map.capacity());
    assert!((0..map.len() as u32).all(|number| map.contains_key(&key(number))));
    let (count, bytes) = (map.len(), map.allocation_size());
    assert!(bytes <= SIZE);
    // Elsewhere such a table is as large, and the next one would be too large.
    let table = |count| Map::<K, V, Global>::with_capacity_and_hasher(count, Hasher::default());
    assert_eq!((table(count).capacity(), table(count).allocation_size()), (count, bytes));
    assert!(table(count + 1).allocation_size() > SIZE);
    // Nor can it be had from the start.
    let mut larger = Map::<K, V, _>::with_hasher_in(Hasher::default(), InFragments::new(&mm));
    assert!(larger.try_reserve(count + 1).is_err());
    assert!(larger.try_reserve(count).is_ok());
    drop((map, larger));
    assert_eq!(source.pages_out(), 0);
    (count, bytes)
}

#[test]
fn the_largest_maps() {
    assert_eq!(most::<16, 256, u32, u32>(|number| number).0, 14);
    assert_eq!(most::<16, 256, u16, ()>(|number| number as u16).0, 56);
    assert_eq!(most::<16, 256, u64, [u64; 2]>(u64::from).0, 7);
    assert_eq!(most::<2, 2048, u64, u64>(u64::from).0, 56);
    assert_eq!(most::<2, 2048, u32, u32>(|number| number).0, 112);
}

#[test]
fn values_that_do_not_fit() {
    let (mm, source) = small(1);
    let mut map = Map::with_hasher_in(Hasher::default(), InFragments::new(&mm));
    assert!(map.try_reserve(1).is_err(), "four of 72 bytes");
    map.clear();
    assert!(map.insert_unique_if_room(1_u64, [0_u64; 8]).is_none());
    let mut nothing =
        HashSet::<(), Hasher, _>::with_hasher_in(Hasher::default(), InFragments::new(&mm));
    assert!(nothing.insert(()) && !nothing.insert(()));
    drop((map, nothing));
    assert_eq!(source.pages_out(), 0);
}

trait IfRoom<K, V> {
    fn insert_unique_if_room(&mut self, key: K, value: V) -> Option<()>;
}

impl<K: Hash + Eq, V, A: allocator_api2_02::alloc::Allocator> IfRoom<K, V> for Map<K, V, A> {
    fn insert_unique_if_room(&mut self, key: K, value: V) -> Option<()> {
        self.try_reserve(1).ok()?;
        self.insert(key, value);
        Some(())
    }
}

#[test]
fn a_map_that_has_its_fragment_needs_no_other() {
    let (mm, source) = small(1);
    let alloc = InFragments::new(&mm);
    let mut maps: Vec<_> = (0..16)
        .map(|number| {
            let mut map = Map::with_hasher_in(Hasher::default(), alloc);
            map.insert(number, number);
            map
        })
        .collect();
    let mut refused = Map::<u32, u32, _>::with_hasher_in(Hasher::default(), alloc);
    assert!(refused.try_reserve(1).is_err());
    for map in &mut maps {
        (100..113).for_each(|number| assert_eq!(map.insert(number, number), None));
        assert_eq!((map.len(), map.capacity()), (14, 14));
    }
    maps.pop();
    assert!(refused.try_reserve(14).is_ok());
    drop((maps, refused));
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn drops_and_panics() {
    let (mm, source) = mm::<2, 2048>(4);
    let (alloc, counter) = (InFragments::new(&mm), Counter::default());
    let eight = |bomb: Bomb| {
        let mut map = Map::with_hasher_in(Hasher::default(), alloc);
        map.extend(
            (0..8).map(|key| (key, counter.with(key, if key == 5 { bomb } else { Bomb::None }))),
        );
        map
    };
    let home = || assert_eq!((counter.alive(), source.pages_out()), (0, 0));

    let mut map = eight(Bomb::None);
    assert!(map.remove(&3).is_some() && map.insert(4, counter.value(40)).is_some());
    map.retain(|key, _| key % 2 == 0);
    let clone = map.clone();
    assert_eq!((map.len(), counter.alive()), (4, 8));
    drop(map);
    assert_eq!(clone.into_values().map(|value| value.number).sum::<usize>(), 2 + 40 + 6);
    home();

    let map = eight(Bomb::InClone);
    assert!(catch_unwind(AssertUnwindSafe(|| map.clone())).is_err());
    drop(map);
    home();

    let map = eight(Bomb::InDrop);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(map))).is_err());
    assert_eq!(
        source.pages_out(),
        1,
        "hashbrown's map leaks here; else mend the crate's documentation"
    );
}

#[test]
fn flat() {
    let (mm, source) = mm::<2, 2048>(3);
    let handle = Handle::new(&mm);
    // Three maps and a clone of one: two pages of two.
    let round = || {
        let mut maps: Vec<_> = (0..3)
            .map(|_| Map::with_hasher_in(Hasher::default(), InFragments::new(&handle)))
            .collect();
        for number in 0..30_u64 {
            maps[number as usize % 3].insert(number, number);
        }
        let clone = maps[1].clone();
        maps[2].retain(|number, _| number % 2 == 0);
        maps[2].shrink_to_fit();
        assert!(clone == maps[1] && maps[2].len() == 5);
        source.pages_out()
    };
    let once = round();
    assert!((0..100).all(|_| round() == once));
    assert!(once <= 3);
    handle.flush();
    assert_eq!(source.pages_out(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u32),
    Remove(u8),
    Retain(u8),
    Clear,
    ShrinkToFit,
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u8>(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        5 => any::<u8>().prop_map(Step::Remove),
        1 => (1..8_u8).prop_map(Step::Retain),
        1 => Just(Step::Clear),
        1 => Just(Step::ShrinkToFit),
        1 => Just(Step::Clone),
    ]
}

fn history<A: allocator_api2_02::alloc::Allocator + Clone>(alloc: A, steps: &[Step]) {
    let mut map = Map::with_hasher_in(Hasher::default(), alloc);
    let mut model = std::collections::HashMap::new();
    for step in steps.iter().cloned() {
        match step {
            Step::Insert(key, value) => {
                let room = map.try_reserve(1).is_ok();
                // The table is the largest from the first entry on, and refuses no one before it is half full.
                assert!(room || model.len() + 1 > 14 / 2);
                if room {
                    assert_eq!(map.insert(key, value), model.insert(key, value));
                }
            }
            Step::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
            Step::Retain(every) => {
                map.retain(|key, _| key % every != 0);
                model.retain(|key, _| key % every != 0);
            }
            Step::Clear => {
                map.clear();
                model.clear();
            }
            Step::ShrinkToFit => map.shrink_to_fit(),
            Step::Clone => map = map.clone(),
        }
        assert!(map.len() == model.len() && model.len() <= 14);
        assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
        assert!(map.iter().all(|(key, value)| model.get(key) == Some(value)));
    }
}

proptest! {
    #[test]
    fn beside_the_standard_librarys(steps in prop::collection::vec(step(), 0..200)) {
        let (mm, source) = small(1);
        history(InFragments::new(&mm), &steps);
        prop_assert_eq!(source.pages_out(), 0);
        let handle = Handle::new(&mm);
        history(InFragments::new(&handle), &steps);
        drop(handle);
        prop_assert_eq!(source.pages_out(), 0);
    }
}

#[test]
fn a_map_in_which_entries_come_and_go_counts_on_half() {
    let (mm, source) = mm::<2, 2048>(1);
    let mut map = Map::with_hasher_in(Hasher::default(), InFragments::new(&mm));
    assert!(map.try_reserve(56).is_ok());
    let half = map.capacity() / 2;
    map.extend((0..half as u64 - 1).map(|number| (number, number)));
    for number in half as u64..100_000 {
        assert!(map.try_reserve(1).is_ok());
        map.insert(number, number);
        let oldest = *map.keys().min().expect("there are some");
        assert_eq!(map.remove(&oldest), Some(oldest));
    }
    drop(map);
    assert_eq!(source.pages_out(), 0);
}
