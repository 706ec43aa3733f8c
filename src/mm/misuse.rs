//! The panics over a caller's bug that memory safety rests on. Each is raised before anything has
//! changed, and names the page, the fragment and the word.

use core::{fmt, ptr::NonNull};

use crate::{
    embed::PageSource,
    page::{PageDesc, mask::Mask, word::Word},
    sync::Ordering,
};

/// Panics over a free of what is not used. `page` is the page's first byte, `now` its word.
#[cold]
#[inline(never)]
pub(crate) fn not_used<const FRAGS: usize>(page: NonNull<u8>, mask: Mask, now: u64) -> ! {
    let word = Word::<FRAGS>::from_bits(now);
    let wrong = Frags(mask - word.used());
    panic!("ptfrag: double free: {wrong} of page {page:p} is not used ({word})")
}

/// Panics over a free, through a handle, of what that handle holds already.
#[cold]
#[inline(never)]
pub(crate) fn held<const FRAGS: usize>(page: NonNull<u8>, mask: Mask) -> ! {
    panic!("ptfrag: double free: {} of page {page:p} is held by this handle", Frags(mask))
}

/// Panics over a fragment of another mm.
#[cold]
#[inline(never)]
pub(crate) fn wrong_mm<const FRAGS: usize>(page: NonNull<u8>, mask: Mask, now: u64) -> ! {
    let word = Word::<FRAGS>::from_bits(now);
    panic!("ptfrag: wrong mm: {} of page {page:p} ({word}) belongs to another mm", Frags(mask))
}

/// Panics over a list node that was overwritten.
#[cold]
#[inline(never)]
pub(crate) fn bad_link<const FRAGS: usize, S: PageSource>(
    source: &S,
    page: NonNull<PageDesc>,
) -> ! {
    // SAFETY: the page is of this source.
    let addr = unsafe { source.addr(page) };
    // SAFETY: descriptors are type-stable.
    let word = unsafe { &page.as_ref().word };
    let word = Word::<FRAGS>::from_bits(word.load(Ordering::Relaxed));
    panic!(
        "ptfrag: list corruption: page {addr:p} ({word}) and its neighbours do not point at each \
         other; somebody wrote into a free fragment"
    )
}

/// `fragment 3` or `fragments 3, 5`.
struct Frags(Mask);

impl fmt::Display for Frags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "fragment" } else { "fragments" })?;
        for (at, index) in self.0.iter().enumerate() {
            write!(f, "{}{index}", if at == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}
