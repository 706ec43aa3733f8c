//! The free pages of a source, chained through their descriptors.

use core::ptr::NonNull;

use crate::page::PageDesc;

/// A stack of free pages, linked through their descriptors.
///
/// # Invariants
/// The pages from `head` along the links are `len` different ones, all of them at their source.
#[derive(Default)]
pub(crate) struct Stack {
    head: Option<NonNull<PageDesc>>,
    len: usize,
}

// SAFETY: the descriptors are `Sync`, and their links are reached only through the stack.
unsafe impl Send for Stack {}

impl Stack {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a page on top.
    ///
    /// # Safety
    /// `page` is at its source and on no stack, and the caller holds the source's lock.
    pub(crate) unsafe fn push(&mut self, page: NonNull<PageDesc>) {
        // SAFETY: a descriptor stays one as long as its source lives.
        let desc = unsafe { page.as_ref() };
        // SAFETY: the page is at its source, and the lock is held, by the contract.
        unsafe { desc.set_link(self.head) };
        self.head = Some(page);
        self.len += 1;
    }

    /// Takes the page on top.
    ///
    /// # Safety
    /// The source lives, and the caller holds its lock.
    pub(crate) unsafe fn pop(&mut self) -> Option<NonNull<PageDesc>> {
        let page = self.head?;
        // SAFETY: a descriptor stays one as long as its source lives.
        let desc = unsafe { page.as_ref() };
        // SAFETY: a page on a stack is at its source, and `push` wrote the link.
        self.head = unsafe { desc.link() };
        self.len -= 1;
        Some(page)
    }
}
