//! The nodes of a map, each a fragment.

use std::array;

use arrayvec::ArrayVec;
use ptfrag::{Drops, Full, Link, Owned, Pool, PoolHandle, Std};

/// The RCU, the pages, and what becomes of a node after its grace period.
type Parts<K, V> = Std<'static, 2048, Drops<Node<K, V>>>;
pub type Nodes<K, V> = Pool<Node<K, V>, 16, 128, Parts<K, V>>;
pub type NodesHandle<K, V> = PoolHandle<Node<K, V>, 16, 128, Parts<K, V>>;
/// Where a node is published.
pub type Place<K, V> = Link<Node<K, V>, 16, 128, Parts<K, V>>;
type OwnedNode<K, V> = Owned<Node<K, V>, 16, 128, Parts<K, V>>;

/// Entries of a leaf at most: with entries of 16 bytes it fills its fragment.
pub const LEAF: usize = 7;
/// Bits of a hash that a branch tells apart.
pub const BITS: u32 = 2;

/// A node. Leaves are replaced, and never change; a branch stays where it is as long as the map, and its places change.
pub enum Node<K: 'static, V: 'static> {
    Branch([Place<K, V>; 1 << BITS]),
    Leaf(Leaf<K, V>),
}

/// A few entries, at least one.
pub struct Leaf<K, V>(ArrayVec<(K, V), LEAF>);

impl<K: Eq, V> Leaf<K, V> {
    pub fn one(key: K, value: V) -> Self {
        Self(ArrayVec::from_iter([(key, value)]))
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    pub fn entries(&self) -> &[(K, V)] {
        &self.0
    }
}

impl<K: Eq + Clone, V: Clone> Leaf<K, V> {
    /// The same with an entry more, or another value. `None` when it is full.
    pub fn with(&self, key: &K, value: &V) -> Option<Self> {
        let mut entries = self.0.clone();
        match entries.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => *old = value.clone(),
            None => entries.try_push((key.clone(), value.clone())).ok()?,
        }
        Some(Self(entries))
    }

    /// The same without an entry; `None` when nothing is left.
    pub fn without(&self, key: &K) -> Option<Self> {
        let others = self.0.iter().filter(|(other, _)| other != key).cloned();
        let entries: ArrayVec<_, LEAF> = others.collect();
        (!entries.is_empty()).then_some(Self(entries))
    }
}

/// Why an entry did not get in. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// The map has no page left for a node.
    NoMemory,
    /// More keys have the same hash than fit a leaf.
    SameHash,
}

impl std::fmt::Display for InsertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "the map has no page left for a node",
            Self::SameHash => "more keys have the same hash than fit a leaf",
        })
    }
}

impl std::error::Error for InsertError {}

impl<T> From<Full<T>> for InsertError {
    fn from(_: Full<T>) -> Self {
        Self::NoMemory
    }
}

/// A node with these entries, whose hashes are still to be told apart from bit `shift` on: a leaf, or a branch with as much
/// below it as it takes.
pub fn build<K: Eq + Clone, V: Clone>(
    nodes: &Nodes<K, V>,
    handle: &mut NodesHandle<K, V>,
    entries: &[(u64, (K, V))],
    shift: u32,
) -> Result<OwnedNode<K, V>, InsertError> {
    if entries.len() <= LEAF {
        let leaf = entries.iter().map(|(_, entry)| entry.clone()).collect();
        return Ok(handle.alloc(Node::Leaf(Leaf(leaf)))?);
    }
    if shift >= u64::BITS {
        return Err(InsertError::SameHash);
    }
    let branch = array::from_fn(|_| nodes.link());
    for (at, place) in branch.iter().enumerate() {
        let below: ArrayVec<_, { LEAF + 1 }> =
            entries.iter().filter(|(hash, _)| place_of(*hash, shift) == at).cloned().collect();
        if !below.is_empty() {
            let node = build(nodes, handle, &below, shift + BITS)?;
            handle.publish(place, node);
        }
    }
    Ok(handle.alloc(Node::Branch(branch))?)
}

/// Which place of a branch a hash belongs in.
pub fn place_of(hash: u64, shift: u32) -> usize {
    (hash >> shift) as usize & ((1 << BITS) - 1)
}
