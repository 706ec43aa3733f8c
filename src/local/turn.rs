//! What a handle does with the fragments in its ring, now and then.

use core::mem::ManuallyDrop;

use super::{
    BATCH, LOOK, Local,
    part::{IDLE, LocalPart, OVER},
};
use crate::{
    embed::Embed,
    frag::Frag,
    mm::{apply::Wait, free},
    sync::Ordering,
};

/// So many ready fragments are given back at a time: a retirement stays a short matter.
const TRIM: u32 = 16;

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Local<FRAGS, SIZE, E> {
    /// Whether some of the fragments wait for a grace period.
    pub(super) fn in_flight(&self) -> bool {
        self.ready != self.sent
    }

    /// Looks after the ring before another retirement, and says whether there is room for it.
    /// Never waits for the lock.
    #[cold]
    #[inline(never)]
    pub(super) fn turn(&mut self) -> bool {
        self.look();
        let full = self.end.wrapping_sub(self.first) == Self::HOLDS as u32;
        if !self.in_flight() && (full || self.end.wrapping_sub(self.sent) >= self.batch()) {
            self.send();
        }
        let room = self.schedule();
        self.bare = self.bare.wrapping_add(u32::from(!room));
        room
    }

    /// Sets when to look after the ring again: when a call may be back, or is worth while, and before
    /// the ring is full. Says whether it is not. The rest of the room is for what is given back; but nothing
    /// is put in front of what a flushed handle has sent.
    pub(super) fn schedule(&mut self) -> bool {
        let gathered = self.end.wrapping_sub(self.sent);
        let soon =
            if self.in_flight() { LOOK } else { self.batch().saturating_sub(gathered).max(1) };
        let room = Self::HOLDS as u32 - self.end.wrapping_sub(self.first);
        self.due = self.end.wrapping_add(soon.min(room));
        self.low = if self.left { self.first } else { self.due.wrapping_sub(Self::HOLDS as u32) };
        room != 0
    }

    /// How many fragments are worth a call: a quarter of those that are out, as far as the handle
    /// knows, so that a small mm does not wait for much and a large one pays for few calls.
    fn batch(&self) -> u32 {
        let back = self.end.wrapping_add(self.bare);
        let out = self.handed_out().wrapping_sub(back) as i32;
        let most = BATCH.1.min((Self::HOLDS as u32 / 4).max(BATCH.0));
        (out.max(0) as u32).div_ceil(4).clamp(BATCH.0, most)
    }

    /// Fragments handed out so far, less those that came back unseen: a handle that is given what others
    /// allocate has less than none.
    pub(super) fn handed_out(&self) -> u32 {
        self.first.wrapping_add(self.claimed).wrapping_sub(self.claim.mask.len() as u32)
    }

    /// Takes what has come back, if anything has.
    pub(super) fn look(&mut self) {
        if !self.in_flight() {
            return;
        }
        let state = &self.part().state;
        // Acquire pairs with the callback's Release: the readers' last accesses, and the hook's,
        // happen before the fragments are used again.
        match state.load(Ordering::Acquire) {
            OVER => {
                state.store(IDLE, Ordering::Relaxed);
                self.ready = self.sent;
            }
            // The callback gave them back, and the handle, which was flushed, had no others ready.
            IDLE => {
                self.left = false;
                self.ready = self.sent;
                self.skip_ready();
            }
            _ => {}
        }
    }

    /// What was ready has gone to its pages, and not to users.
    pub(super) fn skip_ready(&mut self) {
        self.claimed = self.claimed.wrapping_sub(self.ready.wrapping_sub(self.first));
        self.first = self.ready;
    }

    /// Makes a call for what was retired, as far as the thread is going to need it. The rest is
    /// left to the pages, so a thread that only retires keeps little. No call is in flight.
    pub(super) fn send(&mut self) {
        let handed = self.handed_out();
        let lately = (handed.wrapping_sub(self.handed) as i32).max(0) as u32;
        // From call to call the number wavers, as grace periods take longer or shorter.
        self.pace = lately.max(self.pace - self.pace.div_ceil(16));
        let need = self.pace.saturating_mul(3).saturating_add(BATCH.0);
        self.handed = handed;
        self.trim(need);
        let stock = self.ready.wrapping_sub(self.first);
        let gathered = self.end.wrapping_sub(self.sent);
        let wanted = need.saturating_sub(stock).min(gathered);
        let (from, to) = (self.sent, self.sent.wrapping_add(wanted));
        self.retire_back_to(to);
        self.sent = to;
        if wanted != 0 {
            // SAFETY: no call is in flight, and no reader finds what was retired.
            unsafe { LocalPart::send(self.part, from, to) };
            self.head().hurry_if_scarce();
        }
    }

    /// Gives some of what is ready beyond `need` back, as far as that goes without waiting for the
    /// lock.
    fn trim(&mut self, need: u32) {
        for _ in 0..TRIM {
            if self.ready.wrapping_sub(self.first) <= need {
                return;
            }
            // SAFETY: one is ready. The handle lets go of it first: a hook may panic when it has gone.
            let frag = ManuallyDrop::new(unsafe { self.take_ready() });
            // SAFETY: the fragment is this call's alone.
            if !unsafe { free::try_give_back::<FRAGS, SIZE, E>(frag.pieces(), Wait::Never) } {
                // SAFETY: the place in front is the one that it has just come out of.
                unsafe { self.put_ready(frag) };
                return;
            }
        }
    }

    /// Retires without the handle what is in the places from `to` on; counted as above. There is no
    /// call in flight for them.
    pub(super) fn retire_back_to(&mut self, to: u32) {
        Frag::retire_all(core::iter::from_fn(|| {
            if self.end == to {
                return None;
            }
            self.end = self.end.wrapping_sub(1);
            self.bare = self.bare.wrapping_add(1);
            // SAFETY: a place behind what was sent holds a fragment of the handle's.
            Some(unsafe { self.part().ring.take(self.end) })
        }));
    }
}

#[cfg(all(test, unix, feature = "std", not(any(ptfrag_loom, ptfrag_shuttle))))]
mod tests {
    use std::{collections::VecDeque, vec::Vec};

    use super::BATCH;
    use crate::{Mm, OwnedDomain, Region};

    /// Leaving sections runs callbacks often enough for a handle whose every retirement stands in
    /// one: all of them go through its ring.
    #[test]
    fn sections_bring_calls_back_in_time() {
        let domain = OwnedDomain::new();
        let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(200).unwrap());
        for live in [1, 64, 1024] {
            let mut local = mm.local();
            let mut out: VecDeque<_> = (0..live).map(|_| local.alloc().unwrap()).collect();
            for round in 0..20_000 {
                out.push_back(local.alloc().unwrap());
                let _section = domain.read();
                local.retire(out.pop_front().unwrap());
                assert_eq!(local.bare, 0, "{live} fragments are out, round {round}");
            }
        }
    }

    /// However many are out, no more than make a call are gathered while none is in flight.
    #[test]
    fn a_call_is_made_in_time() {
        let domain = OwnedDomain::new();
        let mm = Mm::<16, 256, _>::new(&domain, Region::<4096>::new(200).unwrap());
        let mut local = mm.local();
        let mut out = VecDeque::new();
        for round in 0..20_000 {
            // From few to many and back, in steps of all sizes.
            let live = 1000_usize.saturating_sub(round * 7 % 1900);
            while out.len() < live {
                out.push_back(local.alloc().unwrap());
            }
            while out.len() > live {
                local.retire(out.pop_front().unwrap());
                let gathered = local.end.wrapping_sub(local.sent);
                assert!(local.in_flight() || gathered <= BATCH.1, "{gathered} in round {round}");
            }
            if round % 3 == 0 {
                domain.poll();
            }
        }
    }

    /// A handle that has handed out billions between two calls, for others to free, goes on.
    #[test]
    fn the_counts_may_wrap_around() {
        let domain = OwnedDomain::new();
        let region = Region::<4096>::new(100).unwrap();
        let mm = Mm::<16, 256, _>::new(&domain, region.clone());
        let mut local = mm.local();
        for ago in [1 << 30, 1 << 31, u32::MAX] {
            let frags: Vec<_> = (0..300).map(|_| local.alloc().unwrap()).collect();
            local.handed = local.handed_out().wrapping_sub(ago);
            frags.into_iter().for_each(|frag| local.retire(frag));
            domain.barrier();
        }
        drop((local, mm));
        // A page's callback can need another call.
        (0..4).for_each(|_| domain.barrier());
        assert_eq!(region.pages_out(), 0);
    }
}
