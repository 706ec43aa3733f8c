//! Sets of fragments of one page.

use core::ops::{BitAnd, BitOr, Sub};

/// A set of fragments of one page: bit `i` stands for fragment `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mask(u16);

impl Mask {
    /// No fragment.
    pub const EMPTY: Self = Self(0);

    /// The first `n` fragments: all of a page of `n`.
    ///
    /// # Panics
    /// When `n` is above 16.
    #[must_use]
    pub const fn first(n: usize) -> Self {
        assert!(n <= 16);
        Self(((1_u32 << n) - 1) as u16)
    }

    /// Just fragment `index`.
    ///
    /// # Panics
    /// When `index` is not below 16.
    #[must_use]
    #[inline]
    pub const fn single(index: usize) -> Self {
        assert!(index < 16);
        Self(1 << index)
    }

    /// The set with these bits.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The set as bits.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the set is empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many fragments it has.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether all of `other` is in it.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Its lowest fragment.
    #[must_use]
    #[inline]
    pub const fn lowest(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as usize) }
    }

    /// Its highest fragment.
    #[must_use]
    #[inline]
    pub const fn highest(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(15 - self.0.leading_zeros() as usize) }
    }

    /// Its fragments, lowest first.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let index = rest.lowest()?;
            rest = rest - Self::single(index);
            Some(index)
        })
    }
}

impl BitOr for Mask {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Mask {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Mask {
    type Output = Self;
    /// What is in `self` and not in `other`.
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_are_those_of_sets() {
        let masks = || (0..1 << 4).map(Mask::from_bits);
        for (a, b) in masks().flat_map(|a| masks().map(move |b| (a, b))) {
            for i in (0..4).map(Mask::single) {
                assert_eq!((a | b).contains(i), a.contains(i) || b.contains(i));
                assert_eq!((a & b).contains(i), a.contains(i) && b.contains(i));
                assert_eq!((a - b).contains(i), a.contains(i) && !b.contains(i));
            }
        }
    }
}
