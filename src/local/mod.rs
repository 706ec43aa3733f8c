//! The per-thread handle of an mm: whatever can be done without the other threads is.
//!
//! To everybody else all that a handle holds is *used*; the page word and its rules know nothing of
//! handles. A handle takes all that is free on a page in one compare-and-swap and hands it out
//! without any. What it retires it keeps, in the order in which it came, in a ring; one call serves
//! all that was retired before it, whatever pages it lies on, and once that is back the handle hands
//! the same fragments out again. So in the steady state neither the page words, nor the list and its
//! lock, nor the source are touched, and the order of the frees does not matter.

mod end;
mod held;
mod open;
mod part;
mod pass;
mod pointer;
mod refill;
mod ring;
mod turn;
mod unseen;

use core::{
    fmt,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

pub use self::part::LocalPart;
use self::ring::ROOM;
use crate::{
    embed::{AllocError, Embed},
    frag::{Frag, Shown},
    mm::head::MmHead,
    page::{PageDesc, mask::Mask},
    slot::Slot,
    sync::bound,
};

/// The fewest and the most retired fragments for which a handle makes a call.
const BATCH: (u32, u32) = (bound(16, 1), bound(128, 1));

/// While a call is in flight a handle looks after so many retirements whether it is back.
const LOOK: u32 = bound(16, 1);

/// What is claimed and was not handed out yet, all of one page.
#[derive(Clone, Copy)]
struct Claim {
    page: NonNull<PageDesc>,
    addr: NonNull<u8>,
    mask: Mask,
}

/// One thread's handle of an mm: allocates and retires at the cost of a few instructions.
///
/// It comes from [`Mm::local`](crate::Mm::local), is made for a thread (or a processor, where the
/// embedder keeps others away) and can be sent to another, and may outlive its mm. The tokens that
/// it hands out are like all others: any thread can free them in any way. What readers see is
/// retired through a handle under the same conditions as without.
///
/// # What it holds
/// - At most one page's free fragments, claimed and not handed out yet.
/// - At most [`HOLDS`](Self::HOLDS) retired ones, which wait to be enough for a call, or for the
///   grace period of the one that is in flight, or are ready to be handed out again, as those are that
///   were [given back](Self::give_back). What the thread
///   retires far beyond what it lately handed out is retired without the handle, and what does not
///   fit as well.
///
/// Besides, the handles of an mm have in common at most half of `HOLDS`, which one had too much of and the
/// next that has nothing takes: so threads that allocate what others give back leave the pages alone, too.
/// These go to their pages when any of the handles is flushed or dropped.
///
/// Nobody else can get these, and their pages do not go home: a handle of which nothing is heard
/// keeps up to `HOLDS` pages in use, and one that its claim lies on. So one that is going to be idle
/// had better be [flushed](Self::flush) by whoever has it, and a source has room for that many pages for
/// each handle, and for half of `HOLDS` for what they have in common, beside those that are in use or wait
/// for a grace period. One that is dropped, also by a panic, keeps nothing; one that is leaked keeps it all. Besides, a handle has about 8 KiB of memory.
///
/// # How long that takes
/// It makes a call when about a quarter of what is out has been retired (16 fragments at least, 128
/// are enough), or there is nothing else to hand out, but one call at a time, and looks at every
/// 16th retirement whether that is back. So a retired fragment waits for the call in flight, for at
/// most 144 further retirements, and then for its own grace period. Only what the handle is used for
/// moves it on, time does not: the hook is not called for what has not been sent for.
///
/// ```
/// # use ptfrag::{Mm, OwnedDomain, Region};
/// let domain = OwnedDomain::new();
/// let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(100)?);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             let mut local = mm.local();
///             for _ in 0..1000 {
///                 let mut frag = local.alloc().expect("100 pages are enough");
///                 frag[0] = 1;
///                 local.retire(frag);
///                 drop(domain.read()); // now and then lets callbacks run
///             }
///         });
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// It is one thread's at a time; two share it no more than they do a `Vec` that both push to:
///
/// ```compile_fail,E0277
/// # use ptfrag::{Local, Std};
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<Local<16, 256, Std<'static>>>();
/// ```
///
/// # Invariants
/// The places of the ring hold, in this order (their numbers wrap around):
/// - `first..ready`: fragments that may be handed out;
/// - `ready..sent`: those of the call in flight; if there is none, nothing;
/// - `sent..end`: those that were retired since.
///
/// `first` comes down to `low` at most, and `end` up to `due`, and these are at most `HOLDS` apart: so neither
/// what is retired nor what is given back has to look at the other's end.
pub struct Local<const FRAGS: usize, const SIZE: usize, E: Embed> {
    first: u32,
    ready: u32,
    end: u32,
    /// When `end` gets there the ring is looked after.
    due: u32,
    /// When `first` gets there nothing more is put in front before room was made.
    low: u32,
    /// Whether what was sent is the callback's to give back, since the handle was flushed.
    left: bool,
    part: NonNull<LocalPart<FRAGS, SIZE, E>>,
    head: NonNull<MmHead<FRAGS, SIZE, E>>,
    claim: Claim,
    sent: u32,
    /// Fragments that came from pages, less those that went back unused.
    claimed: u32,
    /// Fragments that were retired without the ring.
    bare: u32,
    /// Fragments that were handed out before the last call.
    handed: u32,
    /// How many are handed out between two calls: the most of late.
    pace: u32,
}

// SAFETY: the head and the part are shared by rules of their own, and all else is the handle's.
unsafe impl<const FRAGS: usize, const SIZE: usize, E: Embed> Send for Local<FRAGS, SIZE, E> {}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// The most retired fragments that a handle holds: what fits into 2 MiB, but at least 64 and at
    /// most 512.
    pub const HOLDS: usize = {
        let fit = (2 << 20) / SIZE;
        let fit = if fit < 64 { 64 } else { fit };
        if fit < ROOM as usize { fit } else { ROOM as usize }
    };

    /// # Safety
    /// `place` is aligned, writable, and nobody else's until `dispose` is called; the caller hands
    /// over a pin on the head.
    unsafe fn new(
        head: NonNull<MmHead<FRAGS, SIZE, E>>,
        place: NonNull<MaybeUninit<LocalPart<FRAGS, SIZE, E>>>,
        dispose: unsafe fn(NonNull<LocalPart<FRAGS, SIZE, E>>),
    ) -> Self {
        let part = place.cast();
        // SAFETY: the place is ours.
        unsafe { part.write(LocalPart::new(head, dispose)) };
        let claim =
            Claim { page: NonNull::dangling(), addr: NonNull::dangling(), mask: Mask::EMPTY };
        Self {
            first: 0,
            ready: 0,
            end: 0,
            due: BATCH.0,
            low: BATCH.0.wrapping_sub(Self::HOLDS as u32),
            left: false,
            part,
            head,
            claim,
            sent: 0,
            claimed: 0,
            bare: 0,
            handed: 0,
            pace: 0,
        }
    }

    fn head(&self) -> &MmHead<FRAGS, SIZE, E> {
        // SAFETY: the part has a pin.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    fn part(&self) -> &LocalPart<FRAGS, SIZE, E> {
        // SAFETY: the part stays until the handle is gone.
        unsafe { self.part.as_ref() }
    }

    /// Takes a fragment: one that the handle holds, or else it claims a page. Takes the mm's lock
    /// for that, and asks the source if nothing is listed.
    ///
    /// # Errors
    /// As [`Mm::alloc`](crate::Mm::alloc), when the handle holds nothing that is ready. What other
    /// handles hold is out of reach.
    #[inline]
    pub fn alloc(&mut self) -> Result<Frag<FRAGS, SIZE, E>, AllocError> {
        if self.first == self.ready && (!self.claim.mask.is_empty() || !self.refill()?) {
            return Ok(self.hand_out_claimed());
        }
        // SAFETY: a ready place holds a fragment of the handle's.
        let frag = unsafe { self.part().ring.take(self.first) };
        self.first = self.first.wrapping_add(1);
        Ok(frag)
    }

    #[inline]
    fn hand_out_claimed(&mut self) -> Frag<FRAGS, SIZE, E> {
        let Claim { page, addr, mask } = self.claim;
        let index = mask.bits().trailing_zeros() as usize;
        self.claim.mask = Mask::from_bits(mask.bits() & mask.bits().wrapping_sub(1));
        // SAFETY: something is claimed, so the index is below `FRAGS`, and leads into the page.
        let frag = unsafe { addr.add(index * SIZE) };
        // SAFETY: claimed, and handed out once.
        unsafe { Frag::at(page, frag) }
    }

    /// Has a fragment freed after a grace period, most likely to be handed out by this handle
    /// again. Never waits: it makes a call now and then, and at most tries the lock. A fragment of
    /// another mm is retired there, without the handle.
    ///
    /// Most retirements are a few stores. One that makes a call retires what the handle does not expect to
    /// need without it, up to [`HOLDS`](Self::HOLDS) fragments in one go, each with what
    /// [`Frag::retire`] costs.
    #[inline]
    pub fn retire(&mut self, frag: Frag<FRAGS, SIZE, E>) {
        self.keep(Shown::new(frag));
    }

    #[inline]
    fn keep(&mut self, frag: Shown<FRAGS, SIZE, E>) {
        if frag.as_frag().is_of(self.head) { self.keep_own(frag) } else { retire_elsewhere(frag) }
    }

    /// Retires what readers saw in a slot until now. Whose that is the slot knows: its page's descriptor, which nobody may
    /// have looked at for long, is left alone.
    #[inline]
    pub(crate) fn keep_shown(
        &mut self,
        slot: &Slot<FRAGS, SIZE, E>,
        frag: Option<Shown<FRAGS, SIZE, E>>,
    ) {
        let Some(frag) = frag else { return };
        if slot.is_of(self.head) { self.keep_own(frag) } else { retire_elsewhere(frag) }
    }

    /// A fragment of this mm.
    #[inline]
    fn keep_own(&mut self, frag: Shown<FRAGS, SIZE, E>) {
        let frag = Shown::new(self.refuse_held(ManuallyDrop::into_inner(frag.keep())));
        if self.end == self.due {
            return self.keep_slowly(frag);
        }
        // SAFETY: the ring is not full, since `due` comes first.
        unsafe { self.gather(frag) };
    }

    /// What is rare, and would cost the other retirements registers.
    #[cold]
    #[inline(never)]
    fn keep_slowly(&mut self, frag: Shown<FRAGS, SIZE, E>) {
        if !self.turn() {
            return drop(frag);
        }
        // SAFETY: the turn has made room, or seen that there is some.
        unsafe { self.gather(frag) };
    }

    /// # Safety
    /// The ring is not full.
    #[inline]
    unsafe fn gather(&mut self, frag: Shown<FRAGS, SIZE, E>) {
        // SAFETY: the place at the end is the handle's, and empty.
        unsafe { self.part().ring.put(self.end, frag.keep()) };
        self.end = self.end.wrapping_add(1);
    }

    /// Retires a fragment that [`Frag::into_raw`] let go.
    ///
    /// # Panics
    /// As [`Mm::retire_raw`](crate::Mm::retire_raw), but for this: while the handle holds the fragment
    /// a second retirement of it is noticed only in builds with debug assertions. In others it is
    /// handed out twice; or if the handle is flushed or dropped before that, the second one is a panic
    /// there, or where it has waited for a call ends the process in the callback.
    ///
    /// # Safety
    /// As for [`Mm::retire_raw`](crate::Mm::retire_raw).
    pub unsafe fn retire_raw(&mut self, frag: NonNull<u8>) {
        // SAFETY: the caller's promise; readers have the bytes, but the token is only kept.
        self.retire(unsafe { self.head().token_of(frag) });
    }

    /// [`Slot::publish`], with what readers saw before retired through the handle.
    ///
    /// # Panics
    /// As [`Slot::publish`].
    #[inline]
    pub fn publish(&mut self, slot: &Slot<FRAGS, SIZE, E>, frag: Frag<FRAGS, SIZE, E>) {
        let old = slot.replace(Some(frag));
        self.keep_shown(slot, old);
    }

    /// [`Slot::clear`], with what readers saw before retired through the handle.
    #[inline]
    pub fn clear(&mut self, slot: &Slot<FRAGS, SIZE, E>) {
        let old = slot.replace(None);
        self.keep_shown(slot, old);
    }
}

/// What is of another mm is retired there.
#[cold]
#[inline(never)]
fn retire_elsewhere<const FRAGS: usize, const SIZE: usize, E: Embed>(frag: Shown<FRAGS, SIZE, E>) {
    drop(frag);
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for Local<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = self.end.wrapping_sub(self.first) as usize + self.claim.mask.len();
        write!(f, "Local({FRAGS} x {SIZE} bytes, holds {holds})")
    }
}
