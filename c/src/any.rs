//! What is the same for mms of all geometries and parts.

use std::ptr::NonNull;

use ptfrag::{Embed, Frag, Local, Mm, PageSource, Region};

/// What an mm's pages come from here.
pub(crate) trait Source: PageSource + Clone {
    /// Has `make` make an mm, or lanes for one, over this source. A lock that is made finds out here whose it is: its
    /// constructor is not told.
    fn making<R>(&self, make: impl FnOnce() -> R) -> R {
        make()
    }
}

impl<const PAGE: usize> Source for Region<PAGE> {}

/// An mm.
pub(crate) trait AnyMm: Send + Sync {
    fn keeping(self: Box<Self>, pages: u32) -> Box<dyn AnyMm>;
    fn lanes(self: Box<Self>, count: usize) -> Box<dyn AnyMm>;
    fn local(&self) -> Box<dyn AnyLocal>;
    fn origin(&self) -> Box<dyn AnyOrigin>;
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

/// A handle of an mm.
pub(crate) trait AnyLocal: Send {
    fn alloc(&mut self) -> Option<NonNull<u8>>;
    /// # Safety
    /// As for [`Local::retire_raw`].
    unsafe fn retire(&mut self, frag: NonNull<u8>);
    /// # Safety
    /// As for [`Frag::from_raw`], and no reader has seen it.
    unsafe fn give_back(&mut self, frag: NonNull<u8>);
    fn flush(&mut self);
}

/// Where the fragments of mms of one type come from.
pub(crate) trait AnyOrigin: Send + Sync {
    /// # Safety
    /// As for [`Frag::retire_raw`].
    unsafe fn retire(&self, frag: NonNull<u8>);
    /// # Safety
    /// As for [`Frag::from_raw`], and no reader has seen it.
    unsafe fn give_back(&self, frag: NonNull<u8>);
}

/// An mm, and a handle of its source.
pub(crate) struct Made<const FRAGS: usize, const SIZE: usize, E: Embed> {
    mm: Mm<FRAGS, SIZE, E>,
    source: E::Source,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed<Source: Source>> Made<FRAGS, SIZE, E> {
    pub(crate) fn new(rcu: E::Rcu, source: E::Source, hooks: E::Hooks) -> Self {
        let mm = source.making(|| Mm::new_in(rcu, source.clone(), hooks));
        Self { mm, source }
    }
}

impl<const FRAGS: usize, const SIZE: usize, E> AnyMm for Made<FRAGS, SIZE, E>
where
    E: Embed<Source: Source> + 'static,
{
    fn keeping(self: Box<Self>, pages: u32) -> Box<dyn AnyMm> {
        let Self { mm, source } = *self;
        Box::new(Self { mm: mm.keeping(pages), source })
    }

    fn lanes(self: Box<Self>, count: usize) -> Box<dyn AnyMm> {
        let Self { mm, source } = *self;
        Box::new(Self { mm: source.making(|| mm.lanes(count)), source })
    }

    fn local(&self) -> Box<dyn AnyLocal> {
        Box::new(Handle { local: self.mm.local(), source: self.source.clone() })
    }

    fn origin(&self) -> Box<dyn AnyOrigin> {
        Box::new(SourceOf::<FRAGS, SIZE, E>(self.source.clone()))
    }

    fn alloc(&self) -> Option<NonNull<u8>> {
        Some(self.mm.alloc().ok()?.into_raw())
    }

    unsafe fn retire(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        unsafe { self.mm.retire_raw(frag) };
    }

    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        drop(unsafe { self.mm.from_raw(frag) });
    }

    fn close(&self) {
        self.mm.close();
    }

    fn pages(&self) -> usize {
        self.mm.pages()
    }

    fn shrink(&self) -> usize {
        self.mm.shrink()
    }
}

struct Handle<const FRAGS: usize, const SIZE: usize, E: Embed> {
    local: Local<FRAGS, SIZE, E>,
    source: E::Source,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> AnyLocal for Handle<FRAGS, SIZE, E> {
    fn alloc(&mut self) -> Option<NonNull<u8>> {
        Some(self.local.alloc().ok()?.into_raw())
    }

    unsafe fn retire(&mut self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        unsafe { self.local.retire_raw(frag) };
    }

    unsafe fn give_back(&mut self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        self.local.give_back(unsafe { Frag::from_raw(&self.source, frag) });
    }

    fn flush(&mut self) {
        self.local.flush();
    }
}

struct SourceOf<const FRAGS: usize, const SIZE: usize, E: Embed>(E::Source);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> AnyOrigin for SourceOf<FRAGS, SIZE, E> {
    unsafe fn retire(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        unsafe { Frag::<FRAGS, SIZE, E>::retire_raw(&self.0, frag) };
    }

    unsafe fn give_back(&self, frag: NonNull<u8>) {
        // SAFETY: passed on to the caller.
        drop(unsafe { Frag::<FRAGS, SIZE, E>::from_raw(&self.0, frag) });
    }
}
