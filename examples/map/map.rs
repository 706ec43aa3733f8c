//! A concurrent hash map in safe code, whose every node is a fragment. Lookups are lock-free; so are inserts and removals,
//! but for where a thread's handle runs dry and claims a page.
//!
//! It is a trie of the keys' hashes. At the top is a table of places; in a place is nothing, a leaf with a few entries, or a
//! branch with places of its own. A leaf is never changed: whoever inserts or removes an entry copies the leaf, and
//! exchanges the copy for it if it is still there. A leaf that is full is exchanged for a branch in the same way. So there is
//! one point at which an operation takes effect, the exchange at one place; readers only follow pointers; and the old leaf
//! is dropped when those are gone that may read it.
//!
//! Why a trie: nodes have one owner, the place that they are published in, and no other structure whose nodes never move
//! needs less. In a chain, as hash tables have them, the nodes behind one that is removed change their owner while readers
//! still come by the old one. A trie grows without being copied, too. Its branches stay until the map is dropped, as the
//! tables of other maps do.
//!
//! Entries of up to 16 bytes fit, aligned to eight at most; of larger ones the map holds a `Box` or an `Arc`. Keys and values
//! are cloned when their leaf is replaced. Dropping a guard runs callbacks now and then, hence their destructors, also of
//! what other threads have removed: not under a lock that these take, and a panic in one ends the process.
//!
//! A removal may need a node, too, so a map whose memory is all used up by leaves of more than one entry gives none up.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    io,
};

use ptfrag::{Domain, Region, Section};

use super::{
    iter::Iter,
    node::{BITS, InsertError, Leaf, Node, Nodes, NodesHandle, Place, build, place_of},
};

/// Entries for each place of the table.
const LOAD: usize = 4;

/// The map. Threads change it through a [`handle`](Self::handle) each.
pub struct Map<K: 'static, V: 'static, S = RandomState> {
    table: Box<[Place<K, V>]>,
    /// Bits of a hash that the table tells apart.
    bits: u32,
    nodes: Nodes<K, V>,
    hasher: S,
}

impl<K: Hash + Eq + Clone + Send + Sync, V: Clone + Send + Sync> Map<K, V> {
    /// A map with a table for so many entries, which may become more, in so many pages at most: 2048 bytes for 16 nodes of
    /// up to seven entries each.
    ///
    /// # Errors
    /// As [`Region::new`].
    pub fn new(entries: usize, pages: usize) -> io::Result<Self> {
        Ok(Self::in_region(entries, Region::new(pages)?, RandomState::new()))
    }
}

impl<K: Hash + Eq + Clone + Send + Sync, V: Clone + Send + Sync, S: BuildHasher> Map<K, V, S> {
    /// The same in pages of a region, with a hasher of one's own.
    pub fn in_region(entries: usize, pages: Region<2048>, hasher: S) -> Self {
        let nodes = Nodes::new(Domain::global(), pages);
        let places = (entries / LOAD).max(2).next_power_of_two();
        let table = (0..places).map(|_| nodes.link()).collect();
        Self { table, bits: places.trailing_zeros(), nodes, hasher }
    }

    /// A thread's way to change the map. What it removes waits a little longer than what it would take without.
    pub fn handle(&self) -> Handle<'_, K, V, S> {
        Handle { map: self, nodes: self.nodes.handle() }
    }

    /// The value of a key. It stays readable as long as the section, also when it is replaced.
    pub fn get<'g>(&self, key: &K, section: &'g Section<'static>) -> Option<&'g V> {
        match self.find(self.hash(key), section).node {
            Some(Node::Leaf(leaf)) => leaf.get(key),
            _ => None,
        }
    }

    /// All entries, in no order that matters. One that is there from the beginning to the end comes once.
    pub fn iter<'a>(&'a self, section: &'a Section<'static>) -> Iter<'a, K, V> {
        Iter::new(&self.table, section)
    }

    /// Pages that the nodes are in.
    pub fn pages(&self) -> usize {
        self.nodes.pages()
    }

    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Where the leaf with a hash is or would be.
    fn find<'m, 'g: 'm>(&'m self, hash: u64, section: &'g Section<'static>) -> Found<'m, 'g, K, V> {
        let mut place = &self.table[hash as usize & (self.table.len() - 1)];
        let mut shift = self.bits;
        loop {
            match place.load(section) {
                Some(Node::Branch(branch)) => {
                    place = &branch[place_of(hash, shift)];
                    shift += BITS;
                }
                node => return Found { place, node, shift },
            }
        }
    }
}

/// A place that leads to no branch, what it leads to, and the bits of a hash that lead there.
struct Found<'m, 'g, K: 'static, V: 'static> {
    place: &'m Place<K, V>,
    node: Option<&'g Node<K, V>>,
    shift: u32,
}

/// A thread's way to change a [`Map`].
pub struct Handle<'m, K: 'static, V: 'static, S> {
    map: &'m Map<K, V, S>,
    nodes: NodesHandle<K, V>,
}

impl<K: Hash + Eq + Clone + Send + Sync, V: Clone + Send + Sync, S: BuildHasher>
    Handle<'_, K, V, S>
{
    /// Inserts an entry, or replaces the value of its key; says what that was.
    ///
    /// # Errors
    /// [`InsertError`]; nothing has changed then.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, InsertError> {
        let hash = self.map.hash(&key);
        let section = Domain::global().read();
        loop {
            let Found { place, node, shift } = self.map.find(hash, &section);
            let leaf = leaf(node);
            let new = match leaf {
                None => Some(Leaf::one(key.clone(), value.clone())),
                Some(leaf) => leaf.with(&key, &value),
            };
            let new = match (new, leaf) {
                (Some(new), _) => self.nodes.alloc(Node::Leaf(new))?,
                (None, Some(leaf)) => {
                    let others = leaf.entries().iter();
                    let mut entries: Vec<_> =
                        others.map(|entry| (self.map.hash(&entry.0), entry.clone())).collect();
                    entries.push((hash, (key.clone(), value.clone())));
                    build(&self.map.nodes, &mut self.nodes, &entries, shift)?
                }
                (None, None) => unreachable!("there is a leaf that is full"),
            };
            if self.nodes.publish_if(place, node, new).is_ok() {
                return Ok(leaf.and_then(|leaf| leaf.get(&key)).cloned());
            }
        }
    }

    /// Removes the entry of a key; says what its value was.
    ///
    /// # Errors
    /// [`InsertError::NoMemory`] when there is no page for the leaf without the entry; nothing has changed then.
    pub fn remove(&mut self, key: &K) -> Result<Option<V>, InsertError> {
        let hash = self.map.hash(key);
        let section = Domain::global().read();
        loop {
            let Found { place, node, .. } = self.map.find(hash, &section);
            let Some((node, leaf)) = node.zip(leaf(node)) else { return Ok(None) };
            let Some(old) = leaf.get(key) else { return Ok(None) };
            let removed = match leaf.without(key) {
                None => self.nodes.clear_if(place, node),
                Some(rest) => {
                    let rest = self.nodes.alloc(Node::Leaf(rest))?;
                    self.nodes.publish_if(place, Some(node), rest).is_ok()
                }
            };
            if removed {
                return Ok(Some(old.clone()));
            }
        }
    }
}

fn leaf<K, V>(node: Option<&Node<K, V>>) -> Option<&Leaf<K, V>> {
    match node? {
        Node::Leaf(leaf) => Some(leaf),
        Node::Branch(_) => None,
    }
}
