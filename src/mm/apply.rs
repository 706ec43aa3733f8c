//! Carrying a transition out: the word by compare-and-swap, and the list under the lock where it is
//! concerned.

use core::ptr::NonNull;

use super::{head::MmHead, list::BadLink, misuse::bad_link};
use crate::{
    embed::Embed,
    page::{
        PageDesc,
        word::{ListOp, Lists, Step, Word},
    },
    sync::{AtomicU64, Ordering},
};

/// What a transition that needs the lock does to get it.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    ForLock,
    /// It tries.
    Never,
    /// It leaves the lock to its caller.
    NotAtAll,
}

/// Carries out a transition on a page's word, with its list work. `None`: it needs the lock and
/// has not got it, and nothing has changed.
///
/// A change of LISTED is made under the lock, together with the link or unlink; every other change
/// without it, in particular every one of a closed mm, whose head the change may let go.
///
/// `reserved` is whether a place for an empty page is the caller's. It is the page's, or is given up; but an
/// error leaves it with the caller, since a caller's bug may find the page, and with it the head, gone.
///
/// # Safety
/// The page is out and stays out until the transition is made.
#[inline(always)] // Each of its callers is a function of its own.
pub(crate) unsafe fn apply<const FRAGS: usize, const SIZE: usize, E: Embed, M>(
    page: NonNull<PageDesc>,
    wait: Wait,
    reserved: &mut bool,
    transition: impl Fn(Word<FRAGS>, Lists) -> Result<Step<FRAGS>, M>,
) -> Result<Option<Step<FRAGS>>, (M, u64)> {
    // SAFETY: descriptors are type-stable.
    let word = unsafe { &page.as_ref().word };
    let mut closed = None;
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let lane = Word::<FRAGS>::from_bits(now).lane();
        let lists = if closed == Some(lane) { Lists::Nothing } else { Lists::Partial };
        let step = |lists| transition(Word::from_bits(now), lists).map_err(|misuse| (misuse, now));
        let plain = step(lists)?;
        // SAFETY: the page, which the transition has not been made for, pins its mm's head.
        let pinned = unsafe { MmHead::<FRAGS, SIZE, E>::of_page(page) };
        // SAFETY: as above.
        let head = unsafe { pinned.as_ref() };
        let step_now = head.with_place(plain, lists, reserved, || step(Lists::Empty))?;
        if step_now.list == ListOp::Keep {
            match install(word, now, step_now) {
                Ok(()) => return Ok(Some(step_now)),
                Err(seen) => now = seen,
            }
            continue;
        }
        match wait {
            Wait::ForLock => head.lock(lane),
            Wait::Never if head.try_lock(lane) => {}
            Wait::Never | Wait::NotAtAll => {
                head.give_up(reserved);
                return Ok(None);
            }
        }
        // SAFETY: under the lock.
        let open = unsafe { head.is_open(lane) };
        closed = (!open).then_some(lane);
        let lists = if open { Lists::Partial } else { Lists::Nothing };
        // SAFETY: under the lock.
        let done = unsafe { head.apply_locked(page, lane, lists, reserved, &transition) };
        // SAFETY: ours. The mm is open, and its owner's pin stays until it gets the lock; or
        // nothing was changed, or the page goes home by us: then the page is the pin.
        unsafe { MmHead::unlock(pinned, lane) };
        match done {
            Ok(Some(step)) => return Ok(Some(step)),
            Ok(None) => now = word.load(Ordering::Relaxed),
            Err(BadLink) => bad_link::<FRAGS, E::Source>(&head.source, page),
        }
    }
}

/// Changes the word; gives what stands there instead if it has changed meanwhile.
///
/// Release pairs with the Acquire of the next taker, and of `queue` and `go_home`: what
/// the caller, or its hook, did to the fragments and to the list happens before.
pub(crate) fn install<const FRAGS: usize>(
    word: &AtomicU64,
    now: u64,
    step: Step<FRAGS>,
) -> Result<(), u64> {
    word.compare_exchange_weak(now, step.word.bits(), Ordering::Release, Ordering::Relaxed)
        .map(drop)
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> MmHead<FRAGS, SIZE, E> {
    /// The part of [`apply`] under the lock: the word and the list. `None`, and nothing is changed,
    /// when the list is not concerned any more, or it is another lane's by now. `lists` tells an open mm from a closed one, and `reserved`
    /// whether a place for an empty page is the caller's; it is the page's, or is given up.
    ///
    /// # Safety
    /// The caller holds the lane's lock, and the page is this mm's until the transition is made.
    #[inline]
    pub(crate) unsafe fn apply_locked<M>(
        &self,
        page: NonNull<PageDesc>,
        lane: usize,
        lists: Lists,
        reserved: &mut bool,
        transition: &impl Fn(Word<FRAGS>, Lists) -> Result<Step<FRAGS>, M>,
    ) -> Result<Option<Step<FRAGS>>, BadLink> {
        // SAFETY: descriptors are type-stable.
        let word = unsafe { &page.as_ref().word };
        let mut now = word.load(Ordering::Relaxed);
        let mut step = |now| {
            let kept = || transition(now, Lists::Empty);
            self.with_place(transition(now, lists)?, lists, reserved, kept)
        };
        while let Ok(step) = step(Word::from_bits(now)) {
            match step.list {
                ListOp::Keep => break,
                _ if Word::<FRAGS>::from_bits(now).lane() != lane => break,
                ListOp::Link => {}
                // SAFETY: under the lock a listed page is on the list.
                ListOp::Unlink => unsafe {
                    self.check(page, Word::from_bits(now))?;
                },
            }
            let Err(seen) = install(word, now, step) else {
                if step.list == ListOp::Link {
                    // SAFETY: the word was installed in this lock hold.
                    unsafe { self.link(page, step.word) };
                } else {
                    // The word goes first, as in a take of the last fragment; the page is ours until it is
                    // put back.
                    // SAFETY: checked above, and nobody takes from a page that goes home.
                    unsafe { self.unlink(page, Word::from_bits(now)) };
                }
                return Ok(Some(step));
            };
            now = seen;
        }
        self.give_up(reserved);
        Ok(None)
    }
}
