//! Where pages come from.

use core::{fmt, ptr::NonNull};

use crate::page::PageDesc;

/// No page is to be had now, or the mm is closed. Nothing has changed; unless it is closed, a later
/// try can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no page is to be had")
    }
}

impl core::error::Error for AllocError {}

/// Hands out naturally aligned pages, each with its descriptor, and takes them back.
///
/// A source is shared: its handle is stored in every mm that draws on it, and dropped with the
/// mm's head, which may happen inside an RCU callback.
///
/// # Safety
/// - A page is [`PAGE_SIZE`](Self::PAGE_SIZE) bytes, aligned to that size, initialised (leftovers
///   of earlier users will do), and nobody else's from `get` until `put`.
/// - Each page has one [`PageDesc`], which starts as [`PageDesc::new`] (or zero bytes) and stays a
///   descriptor, in place, as long as any handle of the source lives: late lookers may still load
///   its page word, and it says who has shown the page. Once the descriptor was made the source never writes
///   to it, wherever the page is, but for this: at home it may keep a link there, by [`PageDesc::set_link`].
/// - [`desc`](Self::desc) and [`addr`](Self::addr) answer as said below.
/// - `put` happens before the `get` that hands the same page out again.
/// - `put` does not wait for a grace period, since it is called from callbacks; where it panics, it has taken the page. (Neither `get` nor
///   `put` is called inside a section or under a lock of this crate, so `get` may sleep.)
/// - `desc` and `addr` are called anywhere, under an mm's lock and in callbacks too: they do not
///   wait, nor panic, nor come back to an mm, nor take a lock that is held around a call of this
///   crate.
pub unsafe trait PageSource: Send + Sync + 'static {
    /// Bytes of a page: a power of two.
    const PAGE_SIZE: usize;

    /// A page, by its descriptor.
    ///
    /// # Errors
    /// [`AllocError`] when there is none.
    fn get(&self) -> Result<NonNull<PageDesc>, AllocError>;

    /// Whether all bytes of a page are known to be zero. Asked once, between `get` and the first
    /// access. [`Hooks::page_in_zeroed`](crate::Hooks::page_in_zeroed) relies on it.
    ///
    /// # Safety
    /// `page` came from `get` of this source, nobody has written to it since, and nobody else has it.
    unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
        let _ = page;
        false
    }

    /// Whether there are hardly any pages left: a hint. Asked when a page was fetched, and when an mm has nothing
    /// listed any more; if so it has its RCU [hurry](crate::Rcu::hurry). Called by takers, outside of this crate's locks; it
    /// does not wait. By default never.
    fn is_scarce(&self) -> bool {
        false
    }

    /// Takes a page back.
    ///
    /// # Safety
    /// `page` came from `get` of this source and was not put back since; the caller touches
    /// neither the page nor its descriptor again.
    unsafe fn put(&self, page: NonNull<PageDesc>);

    /// The descriptor of the page in which `addr` lies, wherever that page is; `None` when it is in no memory that pages of
    /// this source come from.
    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>>;

    /// The first byte of a page.
    ///
    /// # Safety
    /// `page` came from `get` of this source.
    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8>;
}

/// A source whose pages have numbers, so that something can be kept for each of them in an array.
///
/// # Safety
/// Different pages have different numbers below [`count`](Self::count), always the same.
pub unsafe trait NumberedSource: PageSource {
    /// One more than the greatest number; always the same.
    fn count(&self) -> usize;

    /// The number of a page of this source, wherever it is.
    fn number(&self, page: NonNull<PageDesc>) -> usize;
}

macro_rules! shared {
    ($($(#[$meta:meta])* $handle:ty;)*) => {
        $(
            $(#[$meta])*
            // SAFETY: passed on to the source, which lives as long as the handle.
            unsafe impl<S: PageSource> PageSource for $handle {
                const PAGE_SIZE: usize = S::PAGE_SIZE;

                fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
                    (**self).get()
                }

                unsafe fn is_zeroed(&self, page: NonNull<PageDesc>) -> bool {
                    // SAFETY: passed on to the caller.
                    unsafe { (**self).is_zeroed(page) }
                }

                fn is_scarce(&self) -> bool {
                    (**self).is_scarce()
                }

                unsafe fn put(&self, page: NonNull<PageDesc>) {
                    // SAFETY: passed on to the caller.
                    unsafe { (**self).put(page) };
                }

                #[inline]
                fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
                    (**self).desc(addr)
                }

                #[inline]
                unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
                    // SAFETY: passed on to the caller.
                    unsafe { (**self).addr(page) }
                }
            }

            $(#[$meta])*
            // SAFETY: as above.
            unsafe impl<S: NumberedSource> NumberedSource for $handle {
                fn count(&self) -> usize {
                    (**self).count()
                }

                fn number(&self, page: NonNull<PageDesc>) -> usize {
                    (**self).number(page)
                }
            }
        )*
    };
}

shared! {
    &'static S;
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    alloc::sync::Arc<S>;
}
