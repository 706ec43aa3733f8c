//! What no test from outside can bring about: things that happen in the middle of others.

use std::{boxed::Box, sync::atomic::AtomicBool, thread as threads};

use super::{gate::FAN, owner::OPENING, record::Record, *};

/// Spoilt when its grace period is over.
#[repr(C)]
struct Value {
    head: RcuHead,
    spoilt: AtomicBool,
}

unsafe extern "C" fn spoil(head: NonNull<RcuHead>) {
    // SAFETY: values are never freed.
    let value = unsafe { head.cast::<Value>().as_ref() };
    value.spoilt.store(true, Ordering::Relaxed);
}

fn elsewhere<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    threads::scope(|scope| scope.spawn(work).join().unwrap())
}

/// A section finds a value, which then is unlinked and tagged in the same epoch, and that ends. Then something happens
/// to the section, and epochs go by as far as they can.
fn a_section_lasts_through(domain: OwnedDomain, happens: impl FnOnce(&Domain, &Record)) {
    let domain: &'static Domain = Box::leak(Box::new(domain));
    let value: &'static Value =
        Box::leak(Box::new(Value { head: RcuHead::new(), spoilt: AtomicBool::new(false) }));
    drop(domain.read());
    let record = thread::known_record(&domain.shared).expect("it has been in a section");
    let section = Rcu::read(domain);
    elsewhere(|| {
        drop(domain.read());
        // SAFETY: it is queued once, and never freed.
        unsafe { domain.call(NonNull::from(value).cast(), spoil) };
        // As every so manieth call does.
        let other = thread::known_record(&domain.shared).expect("it has been in a section");
        other.queue.gather(&domain.shared.clock);
        domain.poll();
    });
    happens(domain, record);
    (0..20).for_each(|_| {
        elsewhere(|| domain.poll());
    });
    assert!(!value.spoilt.load(Ordering::Relaxed));
    drop(section);
    domain.barrier();
    assert!(value.spoilt.load(Ordering::Relaxed));
}

/// Whoever parks has found the record idle before the section began, marks its place only now, and has not looked at the
/// announcement when the owner opens a section inside.
fn a_section_inside_while_parked(domain: &Domain, record: &Record) {
    let gate = record.owner.place.gate();
    let own = gate.places().only(|place| place == (record.number() - 1) % FAN);
    gate.close(own, Fences::Symmetric, |_| {
        drop(Rcu::read(domain));
        record.is_idle()
    });
}

/// Signal handlers open sections while the owner, in one, opens the place for what it queues.
fn handlers_while_opening(domain: &Domain, record: &Record) {
    let marks = &record.owner.marks;
    marks.set(marks.get() | OPENING);
    for _ in 0..3 {
        drop(Rcu::read(domain));
        elsewhere(|| domain.poll());
    }
    marks.set(marks.get() & !OPENING);
}

#[test]
fn sections_inside_others_announce_nothing() {
    a_section_lasts_through(OwnedDomain::new(), a_section_inside_while_parked);
    a_section_lasts_through(OwnedDomain::asymmetric(), a_section_inside_while_parked);
}

#[test]
fn sections_in_handlers_announce_nothing_for_a_section() {
    a_section_lasts_through(OwnedDomain::new(), handlers_while_opening);
    a_section_lasts_through(OwnedDomain::asymmetric(), handlers_while_opening);
}

/// Who has come in an epoch that began since somebody looked at the clock is in nobody's way.
#[test]
fn only_earlier_sections_are_in_the_way() {
    let clock = epoch::Clock::starting_at(epoch::Epoch::from_bits(7), Fences::Symmetric);
    let reader = epoch::Announcement::new();
    let [earlier, later] = [6, 8].map(epoch::Epoch::from_bits);
    assert!(!reader.is_before(later), "it shows nothing");
    let now = reader.enter(&clock);
    let is_before = || [earlier, now, later].map(|epoch| reader.is_before(epoch));
    assert_eq!(is_before(), [false, false, true]);
    reader.settle(now, Fences::Symmetric);
    assert_eq!(is_before(), [false, false, true]);
}
