//! Going through a map.

use std::slice;

use ptfrag::Section;

use super::node::{Node, Place};

/// The entries of a map, one leaf after the other.
pub struct Iter<'a, K: 'static, V: 'static> {
    section: &'a Section<'static>,
    /// Places that are still to be looked at, those of the innermost branch last.
    places: Vec<slice::Iter<'a, Place<K, V>>>,
    entries: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(table: &'a [Place<K, V>], section: &'a Section<'static>) -> Self {
        Self { section, places: vec![table.iter()], entries: [].iter() }
    }
}

impl<'a, K: Eq, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            let Some(place) = self.places.last_mut()?.next() else {
                self.places.pop();
                continue;
            };
            match place.load(self.section) {
                Some(Node::Branch(branch)) => self.places.push(branch.iter()),
                Some(Node::Leaf(leaf)) => self.entries = leaf.entries().iter(),
                None => {}
            }
        }
    }
}
