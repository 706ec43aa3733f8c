//! The geometries that are compiled in, and what is the same for all of them.

use std::ptr::NonNull;

use ptfrag::{Domain, Embed, Mm, Region, Std};

/// An mm of some geometry.
pub(crate) trait AnyMm: Send + Sync {
    fn alloc(&self) -> Option<NonNull<u8>>;
    /// # Safety
    /// As for [`Mm::retire_raw`].
    unsafe fn retire(&self, frag: NonNull<u8>);
    /// # Safety
    /// As for [`Mm::from_raw`], and no reader has seen it.
    unsafe fn give_back(&self, frag: NonNull<u8>);
    fn close(&self);
    fn pages(&self) -> usize;
    fn shrink(&self) -> usize;
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> AnyMm for Mm<FRAGS, SIZE, E> {
    fn alloc(&self) -> Option<NonNull<u8>> {
        Some(Mm::alloc(self).ok()?.into_raw())
    }

    unsafe fn retire(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        unsafe { self.retire_raw(frag) };
    }

    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        drop(unsafe { self.from_raw(frag) });
    }

    fn close(&self) {
        Mm::close(self);
    }

    fn pages(&self) -> usize {
        Mm::pages(self)
    }

    fn shrink(&self) -> usize {
        Mm::shrink(self)
    }
}

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
        pub(crate) fn $name<E: Embed + 'static>(
            rcu: E::Rcu,
            source: E::Source,
            hooks: E::Hooks,
            frags: usize,
        ) -> Option<Box<dyn AnyMm>>
        where
            E::Rcu: 'static,
        {
            Some(match frags {
                $($frags => Box::new(Mm::<$frags, $size, E>::new_in(rcu, source, hooks)),)*
                _ => return None,
            })
        }
    };
}

geometries!(small: 16 x 256, 8 x 512, 4 x 1024, 2 x 2048);
geometries!(large: 16 x 4096, 8 x 8192, 4 x 16384, 2 x 32768);
