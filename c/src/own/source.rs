//! Where the pages of an mm of the caller's parts come from: the table, or a region.

use std::ptr::{self, NonNull};

use ptfrag::{AllocError, PageDesc, PageSource, Region};

use super::{Parts, called::called, lock::making};
use crate::any::Source;

#[derive(Clone)]
pub(super) struct OwnSource<const PAGE: usize> {
    parts: &'static Parts,
    region: Option<Region<PAGE>>,
}

impl<const PAGE: usize> OwnSource<PAGE> {
    /// Of parts that are whole; with their region, if they have one.
    pub(super) fn new(parts: &'static Parts, region: Option<&Region<PAGE>>) -> Self {
        Self { parts, region: region.cloned() }
    }

    fn get_from_table(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let get = self.parts.page_get.ok_or(AllocError)?;
        let (mut page, mut desc) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the caller's function, with its context.
        if !called(|| unsafe { get(self.parts.context, &raw mut page, &raw mut desc) }) {
            return Err(AllocError);
        }
        let page = NonNull::new(page).expect("ptfrag: page_get gave no page");
        assert!(
            page.addr().get() % PAGE == 0,
            "ptfrag: page_get gave a page that is not aligned to its size"
        );
        let desc = NonNull::new(desc).expect("ptfrag: page_get gave no descriptor").cast();
        assert!(
            desc.addr().get() % PageDesc::ALIGN == 0,
            "ptfrag: page_get gave a descriptor that is not aligned"
        );
        let last = page.map_addr(|addr| addr.saturating_add(PAGE - 1));
        assert!(
            self.desc(page) == Some(desc) && self.desc(last) == Some(desc),
            "ptfrag: desc_of does not lead from a page that page_get gave to its descriptor"
        );
        // SAFETY: got just now.
        let addr = unsafe { self.addr(desc) };
        assert!(
            addr == page,
            "ptfrag: page_of does not lead from a descriptor that page_get gave to its page"
        );
        Ok(desc)
    }
}

// SAFETY: the caller's promise, function by function; a region keeps it.
unsafe impl<const PAGE: usize> PageSource for OwnSource<PAGE> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        match &self.region {
            Some(region) => region.get(),
            None => self.get_from_table(),
        }
    }

    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        // SAFETY: passed on to the caller.
        self.region.as_ref().is_some_and(|region| unsafe { region.is_zeroed(page) })
    }

    fn is_scarce(&self) -> bool {
        self.region.as_ref().is_some_and(Region::is_scarce)
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        if let Some(region) = &self.region {
            // SAFETY: passed on to the caller.
            return unsafe { region.put(page) };
        }
        // SAFETY: passed on to the caller.
        let addr = unsafe { self.addr(page) };
        if let Some(put) = self.parts.page_put {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { put(self.parts.context, addr.as_ptr(), page.as_ptr().cast()) });
        }
    }

    #[inline]
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        if let Some(region) = &self.region {
            return region.desc(addr);
        }
        let desc_of = self.parts.desc_of?;
        // SAFETY: the caller's function, with its context.
        NonNull::new(called(|| unsafe { desc_of(self.parts.context, addr.as_ptr()) }).cast())
    }

    #[inline]
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        if let Some(region) = &self.region {
            // SAFETY: passed on to the caller.
            return unsafe { region.addr(page) };
        }
        let page_of = self.parts.page_of.expect("checked when the mm was made");
        // SAFETY: the caller's function, with its context.
        let addr = called(|| unsafe { page_of(self.parts.context, page.as_ptr().cast()) });
        NonNull::new(addr).expect("ptfrag: page_of does not know a page that page_get gave")
    }
}

impl<const PAGE: usize> Source for OwnSource<PAGE> {
    fn making<R>(&self, make: impl FnOnce() -> R) -> R {
        making(self.parts, make)
    }
}
