//! Who is measured.

use std::hash::BuildHasher;

use clap::ValueEnum;
use crossbeam_skiplist::SkipMap;
use ptfrag::{Domain, Region};
use serde::{Deserialize, Serialize};

use crate::map;

/// All maps of hashes hash the same way.
type Hash = foldhash::fast::RandomState;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The map of the examples.
    Ptfrag,
    /// The same on the system's huge pages.
    PtfragHuge,
    Papaya,
    /// scc's `HashIndex`.
    Scc,
    Flurry,
    /// crossbeam's ordered one.
    Skiplist,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ptfrag => "ptfrag, `examples/map`",
            Self::PtfragHuge => "the same on huge pages",
            Self::Papaya => "papaya 0.2",
            Self::Scc => "scc 3 `HashIndex`",
            Self::Flurry => "flurry 0.5",
            Self::Skiplist => "crossbeam-skiplist 0.1",
        }
    }
}

/// A map as everybody has it.
pub trait Map: Sync {
    /// A thread's way to it.
    type Handle<'m>
    where
        Self: 'm;

    /// A map that is to hold so many entries.
    fn new(entries: usize) -> Self;
    fn handle(&self) -> Self::Handle<'_>;
    fn get(handle: &mut Self::Handle<'_>, key: u64) -> Option<u64>;
    /// Inserts, or replaces.
    fn insert(handle: &mut Self::Handle<'_>, key: u64, value: u64);
    fn remove(handle: &mut Self::Handle<'_>, key: u64);
    /// Has what was removed freed, as far as that goes.
    fn settle(&self);
}

/// What is done with a map of some kind.
pub trait Visit {
    type Out;

    fn visit<M: Map>(self) -> Self::Out;
}

impl Who {
    pub fn visit<V: Visit>(self, visit: V) -> V::Out {
        match self {
            Self::Ptfrag => visit.visit::<Ptfrag<false>>(),
            Self::PtfragHuge => visit.visit::<Ptfrag<true>>(),
            Self::Papaya => visit.visit::<Papaya>(),
            Self::Scc => visit.visit::<Scc>(),
            Self::Flurry => visit.visit::<Flurry>(),
            Self::Skiplist => visit.visit::<Skiplist>(),
        }
    }
}

struct Ptfrag<const HUGE: bool>(map::Map<u64, u64, Hash>);

impl<const HUGE: bool> Map for Ptfrag<HUGE> {
    type Handle<'m> = (&'m Self, map::Handle<'m, u64, u64, Hash>);

    fn new(entries: usize) -> Self {
        let pages = if HUGE { Region::huge(1 << 20) } else { Region::new(1 << 20) };
        let pages = pages.expect("there is address space");
        Self(map::Map::in_region(entries, pages, Hash::default()))
    }

    fn handle(&self) -> Self::Handle<'_> {
        (self, self.0.handle())
    }

    fn get((map, _): &mut Self::Handle<'_>, key: u64) -> Option<u64> {
        map.0.get(&key, &Domain::global().read()).copied()
    }

    fn insert((_, handle): &mut Self::Handle<'_>, key: u64, value: u64) {
        handle.insert(key, value).expect("there are pages");
    }

    fn remove((_, handle): &mut Self::Handle<'_>, key: u64) {
        handle.remove(&key).expect("there are pages");
    }

    fn settle(&self) {
        (0..4).for_each(|_| Domain::global().barrier());
    }
}

struct Papaya(papaya::HashMap<u64, u64, Hash>);

impl Map for Papaya {
    type Handle<'m> = &'m Self;

    fn new(entries: usize) -> Self {
        Self(papaya::HashMap::with_capacity_and_hasher(entries, Hash::default()))
    }

    fn handle(&self) -> &Self {
        self
    }

    fn get(map: &mut &Self, key: u64) -> Option<u64> {
        map.0.pin().get(&key).copied()
    }

    fn insert(map: &mut &Self, key: u64, value: u64) {
        map.0.pin().insert(key, value);
    }

    fn remove(map: &mut &Self, key: u64) {
        map.0.pin().remove(&key);
    }

    fn settle(&self) {}
}

struct Scc(scc::HashIndex<u64, u64, Hash>);

impl Map for Scc {
    type Handle<'m> = &'m Self;

    fn new(entries: usize) -> Self {
        Self(scc::HashIndex::with_capacity_and_hasher(entries, Hash::default()))
    }

    fn handle(&self) -> &Self {
        self
    }

    fn get(map: &mut &Self, key: u64) -> Option<u64> {
        map.0.peek_with(&key, |_, value| *value)
    }

    fn insert(map: &mut &Self, key: u64, value: u64) {
        match map.0.entry_sync(key) {
            scc::hash_index::Entry::Occupied(mut entry) => entry.update(value),
            scc::hash_index::Entry::Vacant(entry) => drop(entry.insert_entry(value)),
        }
    }

    fn remove(map: &mut &Self, key: u64) {
        map.0.remove_sync(&key);
    }

    fn settle(&self) {}
}

struct Flurry(flurry::HashMap<u64, u64, Hash>);

impl Map for Flurry {
    type Handle<'m> = &'m Self;

    fn new(entries: usize) -> Self {
        Self(flurry::HashMap::with_capacity_and_hasher(entries, Hash::default()))
    }

    fn handle(&self) -> &Self {
        self
    }

    fn get(map: &mut &Self, key: u64) -> Option<u64> {
        map.0.pin().get(&key).copied()
    }

    fn insert(map: &mut &Self, key: u64, value: u64) {
        map.0.pin().insert(key, value);
    }

    fn remove(map: &mut &Self, key: u64) {
        map.0.pin().remove(&key);
    }

    fn settle(&self) {
        self.0.guard().flush();
    }
}

/// Its keys are hashed first, so that it too finds them all over.
struct Skiplist(SkipMap<u64, u64>, Hash);

impl Skiplist {
    fn key(&self, key: u64) -> u64 {
        self.1.hash_one(key)
    }
}

impl Map for Skiplist {
    type Handle<'m> = &'m Self;

    fn new(_: usize) -> Self {
        Self(SkipMap::new(), Hash::default())
    }

    fn handle(&self) -> &Self {
        self
    }

    fn get(map: &mut &Self, key: u64) -> Option<u64> {
        map.0.get(&map.key(key)).map(|entry| *entry.value())
    }

    fn insert(map: &mut &Self, key: u64, value: u64) {
        map.0.insert(map.key(key), value);
    }

    fn remove(map: &mut &Self, key: u64) {
        map.0.remove(&map.key(key));
    }

    fn settle(&self) {
        (0..1000).for_each(|_| crossbeam_epoch::pin().flush());
    }
}
