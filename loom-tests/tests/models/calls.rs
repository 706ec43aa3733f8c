//! What a call has to come after: not only its caller's own doing, but all that others did to the
//! word which made the call necessary. Three threads each, at most three preemptions.
//!
//! Both fail when `queue` does not acquire the page's word before it calls.

use std::{ptr, ptr::NonNull};

use crate::support::*;
use loom::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use ptfrag::Rcu;

/// A fragment is unpublished and retired into X; the callback that promotes it queues the call for
/// it, and a reader that the second grace period does not wait for must not find it any more.
///
/// ```text
/// setup   P = {1}, 0 published
/// owner                 other                            reader
/// unpublish 0           grace period: 1 -> F, 0 -> P     enter
/// CAS 0 -> X            call; grace period: hook         load; read what it points to
///                       writes 0                         leave
/// ```
///
/// Rules 4 and 17. Three threads, at most 3 preemptions. Fails when `queue` does not acquire the
/// word.
#[test]
fn unpublished_before_the_promotion() {
    explore::<128>(3, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let published = Shared::new(AtomicPtr::new(first.as_ptr().as_ptr()));
        retire(second);
        let other = spawn(|| {
            if try_grace_period() {
                try_grace_period();
            }
        });
        let reader = spawn(move || {
            let section = ModelRcu.read();
            if let Some(frag) = NonNull::new(published.load(Ordering::Acquire)) {
                read(frag);
            }
            drop(section);
        });
        published.swap(ptr::null_mut(), Ordering::AcqRel);
        retire(first);
        other.join().unwrap();
        reader.join().unwrap();
        published.end();
        drop(mm.end());
    });
}

/// A page of a closed mm goes home without the lock, by somebody else than who unlinked it, and to another
/// mm; a looker that its ticket does not wait for must not find it at the head of the list any more.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// closer                giver                            looker
/// unlink; LISTED clear  CAS: all free, 0; ticket; home   enter; first
/// flag (no edge)        grace period                     load word
///                       b takes the page, shows it       CAS, or start over
/// ```
///
/// Rules 6, 12 and 17. Three threads, at most 3 preemptions. The flag says in which order the two
/// came, and orders nothing. Fails when `queue` does not acquire the word.
#[test]
fn unlinked_before_the_release() {
    explore::<256>(3, 1, || {
        let a: Shared<Mm4> = Shared::new(mm());
        let b: Shared<Mm4> = Shared::new(mm());
        let closed = Shared::new(AtomicBool::new(false));
        let last = take(&a, 0).unwrap();
        let closer = spawn(move || {
            a.close();
            closed.store(true, Ordering::Relaxed);
        });
        let giver = spawn(move || {
            if !closed.load(Ordering::Relaxed) {
                retire(last);
                return None;
            }
            give_back(last);
            if try_grace_period() { take(&b, 1) } else { None }
        });
        let found = take(&a, 0);
        closer.join().unwrap();
        giver.join().unwrap().into_iter().chain(found).for_each(retire);
        closed.end();
        drop(a.end());
        drop(b.end());
    });
}
