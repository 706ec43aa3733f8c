//! Read-side sections.

use core::{fmt, marker::PhantomData, mem::ManuallyDrop, ops::Deref};

use super::{Domain, Shared, record::Record, thread};

/// A read-side section of a [`Domain`], left when it is dropped.
///
/// Sections nest: only the outermost one of a thread costs anything. Entering and leaving never
/// waits and never runs callbacks. The thread is in a section until it has dropped *all* that it has
/// of this domain: sections that overlap, each opened before the last one is dropped, are one that
/// never ends, and nothing is reclaimed meanwhile. A section belongs to its thread:
///
/// ```compile_fail,E0277
/// fn needs_send<T: Send>() {}
/// needs_send::<ptfrag::Section<'static>>();
/// ```
///
/// One that is leaked holds up the domain's grace periods for ever, and keeps its thread's
/// record, also past the thread's end.
///
/// # Invariants
/// `record` is one of `domain`'s, this thread owns it, and this section counts in its nesting.
#[must_use = "the section ends when this is dropped"]
pub struct Section<'d> {
    domain: &'d Shared,
    record: &'d Record,
    /// Neither `Send` nor `Sync`.
    thread: PhantomData<*mut ()>,
}

impl<'d> Section<'d> {
    #[inline(always)]
    pub(super) fn enter(domain: &'d Domain) -> Self {
        let shared = &domain.shared;
        let record = match thread::record(shared) {
            Some(record) => record,
            // The thread's locals are gone, or going: a record for this section alone.
            None => shared.records.claim(shared, true),
        };
        record.enter(&shared.clock);
        Self { domain: shared, record, thread: PhantomData }
    }

    /// A number of this thread's, as far as there are so many records.
    #[inline]
    pub(super) fn number(&self) -> usize {
        self.record.number()
    }

    pub(super) fn is_of(&self, domain: &Shared) -> bool {
        core::ptr::eq(self.domain, domain)
    }
}

impl Drop for Section<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.record.leave() {
            self.domain.records.release(self.record);
        }
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").finish_non_exhaustive()
    }
}

/// A user's read-side section, from [`Domain::read`]: a [`Section`] that now and then runs
/// callbacks.
///
/// It runs at most as many as [`Domain::poll`] does, so the pause is bounded by what the thread itself has queued since
/// the last one. When the outermost one of a thread is dropped, no other section of this domain is open in the
/// thread, and the thread is not inside a callback, it may [poll](Domain::poll): after 32 heads
/// that the thread queued, at every 64th time when it has queued some since its last poll or that
/// found some, or else at every 128th time; where that was not enough, at the next time already. In an
/// [asymmetric](super::OwnedDomain::asymmetric) domain it does so 2 to 10 times as seldom, according to what the system
/// takes for a fence in every thread. When one of the thread's allocations has found pages
/// [scarce](crate::PageSource::is_scarce) it polls up to 64 times, as long as that moves anything. So drop it where
/// callbacks may run, not under a lock that a callback takes, and not in a signal handler.
#[must_use = "the section ends when this is dropped"]
pub struct Guard<'d> {
    section: ManuallyDrop<Section<'d>>,
}

impl<'d> Guard<'d> {
    #[inline(always)]
    pub(super) fn enter(domain: &'d Domain) -> Self {
        Self { section: ManuallyDrop::new(Section::enter(domain)) }
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<'d> Deref for Guard<'d> {
    type Target = Section<'d>;

    #[inline]
    fn deref(&self) -> &Section<'d> {
        &self.section
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.section.record.leave_and_count() {
            Some(false) => {}
            Some(true) => poll(self.section.domain, self.section.record),
            // SAFETY: it is dropped here only.
            None => unsafe { ManuallyDrop::drop(&mut self.section) },
        }
    }
}

#[cold]
fn poll(domain: &Shared, record: &Record) {
    if thread::in_callback() {
        return;
    }
    if record.take_hurry() {
        domain.collect(record);
    } else {
        domain.poll(record, false);
    }
}
