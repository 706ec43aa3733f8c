//! The part of a handle that its call needs: the ring, and who has what of it.
//!
//! A handle has at most one call in flight, for the fragments that it had gathered when it made the
//! call: those that are *sent*. Until the callback says that their grace period is over they are
//! the callback's. Should the handle not want them any more, because it was flushed or dropped, the
//! callback gives them back to their pages, and of a dropped handle it also ends the part.

use core::{
    fmt,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
};

use super::{Local, ring::Ring};
use crate::{
    embed::{Embed, Hooks, Rcu},
    mm::{
        apply::Wait,
        free,
        head::{MmHead, Pin},
    },
    rcu_head::{RcuFn, RcuHead},
    sync::{AtomicU32, Ordering, UnsafeCell},
};

/// No call is in flight; what there is in the ring is the handle's.
pub(super) const IDLE: u32 = 0;
/// A call is in flight, and the handle waits for what it sent.
pub(super) const SENT: u32 = 1;
/// The grace period is over; what was sent is the handle's again.
pub(super) const OVER: u32 = 2;
/// A call is in flight; its callback gives back what was sent.
pub(super) const LEFT: u32 = 3;
/// So it does, and the handle is gone: the part goes too.
pub(super) const GONE: u32 = 4;

/// The places of the ring that were sent.
#[derive(Clone, Copy)]
struct Sent {
    from: u32,
    to: u32,
}

/// The part of a [`Local`](super::Local) that may outlive it until a callback has run. Only
/// embedders without an allocator name it, to give it a place
/// ([`Mm::local_at`](crate::Mm::local_at)).
///
/// # Invariants
/// - `rcu` is queued, and `sent` the callback's, while `state` is SENT, LEFT or GONE. The callback
///   changes SENT to OVER and LEFT to IDLE; all other changes are the handle's.
/// - The part has a pin on `head`.
// Aligned so that the parts of two threads do not share a cache line, nor a pair of them, where lines
// have 64 bytes.
#[repr(C, align(128))]
pub struct LocalPart<const FRAGS: usize, const SIZE: usize, E: Embed> {
    rcu: RcuHead,
    pub(super) state: AtomicU32,
    sent: UnsafeCell<Sent>,
    pub(super) head: NonNull<MmHead<FRAGS, SIZE, E>>,
    dispose: unsafe fn(NonNull<Self>),
    pub(super) ring: Ring<FRAGS, SIZE, E>,
    /// The handle, when it was put away.
    pub(super) away: UnsafeCell<MaybeUninit<Local<FRAGS, SIZE, E>>>,
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> fmt::Debug for LocalPart<FRAGS, SIZE, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPart").finish_non_exhaustive()
    }
}

impl<const FRAGS: usize, const SIZE: usize, E: Embed> LocalPart<FRAGS, SIZE, E> {
    /// A part with an empty ring. The caller hands over a pin on `head`.
    pub(super) fn new(
        head: NonNull<MmHead<FRAGS, SIZE, E>>,
        dispose: unsafe fn(NonNull<Self>),
    ) -> Self {
        Self {
            rcu: RcuHead::new(),
            state: AtomicU32::new(IDLE),
            sent: UnsafeCell::new(Sent { from: 0, to: 0 }),
            head,
            dispose,
            ring: Ring::new(),
            away: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Has the fragments in the places `from..to` of the ring wait for a grace period.
    ///
    /// # Safety
    /// The caller is the handle, no call is in flight, and the places hold fragments that no reader
    /// finds any more.
    pub(super) unsafe fn send(part: NonNull<Self>, from: u32, to: u32) {
        // SAFETY: the handle keeps the part.
        let this = unsafe { part.as_ref() };
        // SAFETY: no call is in flight, so the field is the handle's.
        this.sent.with_mut(|sent| unsafe { *sent = Sent { from, to } });
        // Relaxed: the call orders it before the callback.
        this.state.store(SENT, Ordering::Relaxed);
        // SAFETY: the head is idle, and the part stays until the callback has run.
        unsafe { Self::call(part, Self::grace_over) };
    }

    /// # Safety
    /// The head is idle and the caller's.
    unsafe fn call(part: NonNull<Self>, func: RcuFn) {
        // SAFETY: the caller has the part.
        let head = unsafe { part.as_ref() }.head;
        // The RCU's handle is copied out: from inside `call` on, the callback may end all of it.
        // SAFETY: the part has a pin.
        let rcu = unsafe { head.as_ref() }.rcu;
        // SAFETY: the head is the first field, idle and ours.
        unsafe { rcu.call(part.cast(), func) };
    }

    /// The callback: what was sent may be used again.
    unsafe extern "C" fn grace_over(rcu: NonNull<RcuHead>) {
        // SAFETY: only the first field of a part is queued with this function.
        let this = unsafe { rcu.cast::<Self>().as_ref() };
        // SAFETY: the field is the callback's.
        let Sent { from, to } = this.sent.with(|sent| unsafe { *sent });
        // SAFETY: the part has a pin.
        let hooks = unsafe { &this.head.as_ref().hooks };
        let mut at = from;
        while at != to {
            // SAFETY: a place that was sent holds a fragment; it is only looked at.
            let frag = ManuallyDrop::new(unsafe { this.ring.take(at) });
            hooks.reclaim(frag.as_ptr());
            at = at.wrapping_add(1);
        }
        // SAFETY: ours to go on with.
        unsafe { Self::settle(rcu) };
    }

    /// The second half, after the hook: the fragments go to the handle, or back to their pages.
    ///
    /// It never waits: where it needs an mm's lock that somebody holds it comes again after another
    /// grace period.
    unsafe extern "C" fn settle(rcu: NonNull<RcuHead>) {
        let part = rcu.cast::<Self>();
        // SAFETY: as in `grace_over`.
        let this = unsafe { part.as_ref() };
        // Release: what was done to the fragments, and to the head, happens before the handle goes
        // on with them. Relaxed: the call has ordered all that it takes to give them back.
        let over = this.state.compare_exchange(SENT, OVER, Ordering::Release, Ordering::Relaxed);
        if over.is_ok() {
            return;
        }
        // SAFETY: nobody waits for what was sent.
        if !unsafe { this.give_back() } {
            // SAFETY: the head is idle again, and ours.
            return unsafe { Self::call(part, Self::settle) };
        }
        // Release as above. Acquire pairs with the Release of the handle that is gone: all its use
        // of the part happens before the end.
        let left = this.state.compare_exchange(LEFT, IDLE, Ordering::Release, Ordering::Acquire);
        if left.is_err() {
            // SAFETY: the handle is gone, and this was its last call.
            unsafe { Self::end(part) };
        }
    }

    /// Gives back what was sent, and says whether that is all of it.
    ///
    /// # Safety
    /// The caller is the callback, and the handle does not wait for the fragments.
    unsafe fn give_back(&self) -> bool {
        loop {
            // SAFETY: the field is the callback's.
            let Sent { from, to } = self.sent.with(|sent| unsafe { *sent });
            if from == to {
                return true;
            }
            // SAFETY: a place that was sent holds a fragment.
            let frag = ManuallyDrop::new(unsafe { self.ring.take(from) });
            // SAFETY: the fragment is the callback's.
            if !unsafe { free::try_give_back::<FRAGS, SIZE, E>(frag.pieces(), Wait::Never) } {
                return false;
            }
            let rest = Sent { from: from.wrapping_add(1), to };
            // SAFETY: as above.
            self.sent.with_mut(|sent| unsafe { *sent = rest });
        }
    }

    /// Ends the part, and lets the mm's head go.
    ///
    /// # Safety
    /// No call is in flight, the ring is empty, and nobody uses the part any more.
    pub(super) unsafe fn end(part: NonNull<Self>) {
        // SAFETY: the caller's alone.
        let this = unsafe { part.as_ref() };
        let (head, dispose) = (this.head, this.dispose);
        // SAFETY: nobody uses it any more.
        unsafe { ptr::drop_in_place(part.as_ptr()) };
        // SAFETY: it was promised to this function, once.
        unsafe { dispose(part) };
        // SAFETY: this was the part's pin.
        unsafe { MmHead::unpin(head, Pin::Handle) };
    }
}
