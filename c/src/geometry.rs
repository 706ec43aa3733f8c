//! The geometries that are compiled in.

use ptfrag::{Domain, Embed, Region, Std};

use crate::any::{AnyMm, Made, Source};

/// A region of one of the page sizes.
pub(crate) enum AnyRegion {
    Small(Region<4096>),
    Large(Region<65536>),
}

impl AnyRegion {
    pub(crate) fn new(page_size: usize, pages: usize) -> Option<Self> {
        match page_size {
            4096 => Region::new(pages).ok().map(Self::Small),
            65536 => Region::new(pages).ok().map(Self::Large),
            _ => None,
        }
    }

    /// Bytes of a page.
    pub(crate) fn page_size(&self) -> usize {
        match self {
            Self::Small(_) => 4096,
            Self::Large(_) => 65536,
        }
    }

    pub(crate) fn pages_out(&self) -> usize {
        match self {
            Self::Small(region) => region.pages_out(),
            Self::Large(region) => region.pages_out(),
        }
    }

    /// An mm of the built-in parts; `None` for a geometry that there is not.
    pub(crate) fn mm(&self, domain: &'static Domain, frags: usize) -> Option<Box<dyn AnyMm>> {
        match self {
            Self::Small(region) => small::<Std<'static, 4096>>(domain, region.clone(), (), frags),
            Self::Large(region) => large::<Std<'static, 65536>>(domain, region.clone(), (), frags),
        }
    }
}

macro_rules! geometries {
    ($name:ident: $($frags:literal x $size:literal),*) => {
        /// An mm with so many fragments to a page; `None` for a number that is not compiled in.
        pub(crate) fn $name<E: Embed<Source: Source> + 'static>(
            rcu: E::Rcu,
            source: E::Source,
            hooks: E::Hooks,
            frags: usize,
        ) -> Option<Box<dyn AnyMm>> {
            Some(match frags {
                $($frags => Box::new(Made::<$frags, $size, E>::new(rcu, source, hooks)),)*
                _ => return None,
            })
        }
    };
}

geometries!(small: 16 x 256, 8 x 512, 4 x 1024, 2 x 2048);
geometries!(large: 16 x 4096, 8 x 8192, 4 x 16384, 2 x 32768);
