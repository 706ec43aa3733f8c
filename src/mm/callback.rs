//! The end of a grace period: what is pending becomes free.

use core::{convert::Infallible, mem::offset_of, ptr::NonNull};

use super::{
    apply::{Wait, apply},
    call::queue,
    head::MmHead,
    home::go_home,
};
use crate::{
    embed::{Embed, Hooks, Rcu},
    page::{
        PageDesc,
        mask::Mask,
        word::{Lists, Step, Word},
    },
    rcu_head::RcuHead,
    sync::{Ordering, bound, fence},
};

/// So many pages that waited for the lock are seen to at most in one go.
const PAGES: u32 = bound(512, 2);

/// The callback: a grace period is over for what is pending.
///
/// It never waits. If somebody holds the lock that it needs, the page is seen to after another grace
/// period, with its word as it is but for a mark that the hook has run for all that is pending, which
/// nothing joins any more.
pub(crate) unsafe extern "C" fn grace_over<const FRAGS: usize, const SIZE: usize, E: Embed>(
    rcu: NonNull<RcuHead>,
) {
    // SAFETY: only `PageDesc::head` is ever queued with this function.
    let page = unsafe { PageDesc::of_head(rcu) };
    let mut hooked = Mask::EMPTY;
    let mut reserved = false;
    loop {
        // SAFETY: the page is out until its word says otherwise.
        hooked = unsafe { run_hook::<FRAGS, SIZE, E>(page, hooked) };
        let over = |word: Word<FRAGS>, lists: Lists| {
            if word.pending() == hooked { Ok(word.grace_over(lists)) } else { Err(Joined) }
        };
        // SAFETY: P, which only this callback ends, keeps the page.
        match unsafe { apply::<FRAGS, SIZE, E, _>(page, Wait::Never, &mut reserved, over) } {
            // SAFETY: ours to go on with.
            Ok(Some(step)) => return unsafe { settled::<FRAGS, SIZE, E>(page, step) },
            Ok(None) => {
                let mark =
                    |word: Word<FRAGS>| (word.pending() == hooked).then(|| word.hooked().bits());
                // SAFETY: descriptors are type-stable.
                let word = unsafe { &page.as_ref().word };
                // Release, as of every change of the word.
                let (set, seen) = (Ordering::Release, Ordering::Relaxed);
                let marked = word.fetch_update(set, seen, |now| mark(Word::from_bits(now)));
                if marked.is_ok() {
                    // SAFETY: P keeps the page.
                    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
                    // SAFETY: ours to go on with, and marked.
                    return unsafe { MmHead::come_again(head, page) };
                }
            }
            Err((Joined, _)) => {}
        }
    }
}

/// Something was retired into P after the callback had looked, by who had compared tickets before.
struct Joined;

/// Runs the hook for what is pending and not in `hooked`; answers with what is pending.
///
/// # Safety
/// The caller is the callback of the page's call.
unsafe fn run_hook<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
    hooked: Mask,
) -> Mask {
    // SAFETY: descriptors are type-stable.
    let word = unsafe { &page.as_ref().word };
    // Acquire pairs with the Release of a retirement that joined after the call was made.
    let pending = Word::<FRAGS>::from_bits(word.load(Ordering::Acquire)).pending();
    // SAFETY: passed on to the caller.
    let head = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
    for index in (pending - hooked).iter() {
        // SAFETY: the page pins its mm's head.
        let head = unsafe { head.as_ref() };
        // SAFETY: what is pending is below `FRAGS`.
        head.hooks.reclaim(unsafe { head.frag(page, index) });
    }
    pending
}

/// What is left to do when the callback has changed the word.
///
/// # Safety
/// The caller is the callback, and has just installed `step`.
unsafe fn settled<const FRAGS: usize, const SIZE: usize, E: Embed>(
    page: NonNull<PageDesc>,
    step: Step<FRAGS>,
) {
    if step.call {
        // SAFETY: P is not empty, by us.
        unsafe { queue::<FRAGS, SIZE, E>(page, grace_over::<FRAGS, SIZE, E>) };
    } else {
        // SAFETY: passed on to the caller.
        unsafe { go_home::<FRAGS, SIZE, E>(page, step) };
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// Has a page seen to after another grace period, when the lock may be had.
    ///
    /// # Safety
    /// The caller is the callback of the page, which pins the head and is HOOKED.
    unsafe fn come_again(head: NonNull<Self>, page: NonNull<PageDesc>) {
        // SAFETY: the page pins the head.
        let this = unsafe { head.as_ref() };
        // SAFETY: passed on to the caller.
        if unsafe { this.waiting.push(page) } {
            // SAFETY: the head is the caller's, since the page is the first.
            unsafe { Self::queue_waiting(head) };
        }
    }

    /// # Safety
    /// A page on the stack pins the head, and the RCU head there is idle and the caller's.
    unsafe fn queue_waiting(head: NonNull<Self>) {
        // Acquire pairs with the Release in `finish`.
        fence(Ordering::Acquire);
        // SAFETY: passed on to the caller.
        let rcu = unsafe { head.as_ref() }.rcu;
        // SAFETY: the offset lies inside the head, which may be disposed of from inside `call` on.
        let rcu_head = unsafe { head.byte_add(offset_of!(Self, waiting)) };
        // SAFETY: passed on to the caller.
        unsafe { rcu.call(rcu_head.cast(), Self::see_to_them) };
    }

    /// The callback: sees to the pages that wait, as long as the lock is to be had.
    unsafe extern "C" fn see_to_them(rcu: NonNull<RcuHead>) {
        // SAFETY: only the RCU head in an mm's head is queued with this function.
        let head: NonNull<Self> = unsafe { rcu.byte_sub(offset_of!(Self, waiting)) }.cast();
        let mut refused = 0;
        for _ in 0..PAGES {
            // SAFETY: a page waits, and pins the head.
            let waiting = unsafe { &head.as_ref().waiting };
            // SAFETY: this is the callback.
            let (page, last) = unsafe { waiting.pop() };
            // SAFETY: the page's callback is ours to go on with. With the last page the head may go.
            let settled = unsafe { settle::<FRAGS, SIZE, E>(page) };
            if !settled && last {
                // SAFETY: the page waits as it did.
                return unsafe { Self::come_again(head, page) };
            }
            if !settled {
                // Behind the others, which may wait for another lane's lock.
                // SAFETY: it waits as it did. The head is queued below: one more page is there.
                unsafe { waiting.push(page) };
                refused += 1;
                // SAFETY: a page waits, and pins the head.
                if refused == 4 || unsafe { head.as_ref() }.has_one_lane() {
                    break;
                }
            }
            if last {
                return;
            }
        }
        // SAFETY: a page waits, and the head is ours.
        unsafe { Self::queue_waiting(head) };
    }
}

/// Frees what is pending on a page whose hook has run, unless somebody holds the lock that this needs; says
/// whether it did.
///
/// # Safety
/// The caller has the page's callback to go on with.
unsafe fn settle<const FRAGS: usize, const SIZE: usize, E: Embed>(page: NonNull<PageDesc>) -> bool {
    let over = |word: Word<FRAGS>, lists: Lists| Ok::<_, Infallible>(word.grace_over(lists));
    // SAFETY: P, which only the callback ends, keeps the page.
    match unsafe { apply::<FRAGS, SIZE, E, _>(page, Wait::Never, &mut false, over) } {
        Ok(None) => false,
        Ok(Some(step)) => {
            // SAFETY: installed just now.
            unsafe { settled::<FRAGS, SIZE, E>(page, step) };
            true
        }
        Err((never, _)) => match never {},
    }
}
