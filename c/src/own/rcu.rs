//! The RCU of an mm of the caller's parts: the caller's own, or a domain.

use std::{marker::PhantomData, ptr, ptr::NonNull};

use ptfrag::{Domain, Rcu, RcuFn, RcuHead, Section};

use super::{Parts, called::called};
use crate::head::to_c;

#[derive(Clone, Copy)]
pub(super) struct OwnRcu(&'static Parts);

impl OwnRcu {
    /// Of parts that are whole.
    pub(super) fn new(parts: &'static Parts) -> Self {
        Self(parts)
    }

    fn domain(self) -> Option<&'static Domain> {
        // SAFETY: NULL, or a domain that stays as long as the parts do.
        unsafe { self.0.domain.as_ref() }.map(|domain| &*domain.0)
    }
}

/// A section.
pub(super) enum OwnSection {
    Domain(Section<'static>),
    Table(TableSection),
}

/// A section of the caller's RCU; not `Send`, as sections belong to their thread.
pub(super) struct TableSection(&'static Parts, PhantomData<*mut ()>);

impl Drop for TableSection {
    fn drop(&mut self) {
        if let Some(unlock) = self.0.read_unlock {
            // SAFETY: the section was entered on this thread.
            called(|| unsafe { unlock(self.0.context) });
        }
    }
}

// SAFETY: the caller's promise, function by function; a domain keeps it.
unsafe impl Rcu for OwnRcu {
    type Guard = OwnSection;

    #[inline]
    fn read(self) -> OwnSection {
        if let Some(domain) = self.domain() {
            return OwnSection::Domain(Rcu::read(domain));
        }
        if let Some(lock) = self.0.read_lock {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { lock(self.0.context) });
        }
        OwnSection::Table(TableSection(self.0, PhantomData))
    }

    #[inline]
    fn lane(self, guard: &OwnSection) -> usize {
        match (self.domain(), guard) {
            (Some(domain), OwnSection::Domain(section)) => domain.lane(section),
            // SAFETY: the caller's function, with its context.
            _ => self.0.lane.map_or(0, |lane| called(|| unsafe { lane(self.0.context) })),
        }
    }

    fn covers(self, guard: &OwnSection) -> bool {
        match (self.domain(), guard) {
            (Some(domain), OwnSection::Domain(section)) => domain.covers(section),
            (None, OwnSection::Table(section)) => ptr::eq(self.0, section.0),
            _ => false,
        }
    }

    #[inline]
    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        if let Some(domain) = self.domain() {
            // SAFETY: passed on to the caller.
            return unsafe { domain.call(head, func) };
        }
        if let Some(call) = self.0.call {
            // SAFETY: the caller's function, with its context.
            called(|| unsafe { call(self.0.context, head.as_ptr().cast(), to_c(func)) });
        }
    }

    fn hurry(self) {
        if let Some(domain) = self.domain() {
            domain.hurry();
        }
    }

    #[inline]
    fn ticket(self) -> u64 {
        match self.domain() {
            Some(domain) => domain.ticket(),
            // SAFETY: the caller's function, with its context.
            None => self.0.ticket.map_or(0, |ticket| called(|| unsafe { ticket(self.0.context) })),
        }
    }

    #[inline]
    fn recent_ticket(self) -> u64 {
        match (self.domain(), self.0.recent_ticket) {
            (Some(domain), _) => domain.recent_ticket(),
            // SAFETY: the caller's function, with its context.
            (None, Some(recent)) => called(|| unsafe { recent(self.0.context) }),
            (None, None) => self.ticket(),
        }
    }

    #[inline]
    fn has_elapsed(self, ticket: u64) -> bool {
        match (self.domain(), self.0.has_elapsed) {
            (Some(domain), _) => domain.has_elapsed(ticket),
            (None, Some(has_elapsed)) if self.gave(ticket) => {
                // SAFETY: the caller's function, with its context.
                called(|| unsafe { has_elapsed(self.0.context, ticket) })
            }
            _ => false,
        }
    }

    #[inline]
    fn gave(self, ticket: u64) -> bool {
        match (self.domain(), self.0.gave) {
            (Some(domain), _) => domain.gave(ticket),
            // SAFETY: the caller's function, with its context.
            (None, Some(gave)) if ticket != 0 => called(|| unsafe { gave(self.0.context, ticket) }),
            _ => false,
        }
    }

    #[inline]
    fn is_current(self, ticket: u64) -> bool {
        match self.domain() {
            Some(domain) => domain.is_current(ticket),
            None => self.ticket() == ticket,
        }
    }
}
