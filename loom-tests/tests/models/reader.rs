//! Readers inside their sections (rules 4 and 5).

use crate::support::*;
use ptfrag::Rcu;

/// A reader enters, retires what it reads, and reads on, while an older grace period ends.
///
/// ```text
/// setup   page F = {3} listed, P = {1}; 0, 2 used
/// reader                          other
/// enter; retire 0: X, or P        grace period (gives up if the reader is inside): 1 -> F
/// read 0                          take and write the lowest free fragment
/// leave
/// ```
///
/// Rule 4. Two threads, exhaustive. Fails with one pending mask (`Word::retire` always sets P): the
/// callback then frees 0 too, which was retired after its grace period had passed. The sketch of
/// 2 June 2023 had that fault.
#[test]
fn section_against_reuse() {
    explore::<256>(2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [b, a, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || {
            let section = ModelRcu.read();
            let seen = b.as_ptr();
            retire(b);
            read(seen);
            drop(section);
        });
        try_grace_period();
        let again = take(&mm, 0);
        other.join().unwrap();
        again.into_iter().for_each(retire);
        retire(c);
        drop(mm.end());
    });
}

/// A reader follows a published pointer while the fragment is retired, reclaimed and used again.
///
/// ```text
/// setup   0 published, 1 used; page unlisted
/// reader                          owner
/// enter; load slot                clear the slot: retire 0, call
/// read 0                          grace period (gives up if the reader is inside)
/// leave                           take 0 and write it
/// ```
///
/// Rule 5. Two threads, exhaustive. Fails with a race when `retire` writes a list node into the
/// fragment at once, as the patch for s390 of 5 June 2023 did.
#[test]
fn published_against_retire() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [frag, last] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let addr = frag.as_ptr();
        let slot = Shared::new(mm.slot());
        slot.publish(frag);
        let other = spawn(move || {
            let section = ModelRcu.read();
            if let Some(seen) = slot.load(&section) {
                read(std::ptr::NonNull::from(seen).cast());
            }
            drop(section);
        });
        Stage::with(|stage| stage.retired(addr));
        slot.clear();
        try_grace_period();
        let again = take(&mm, 0);
        other.join().unwrap();
        again.into_iter().for_each(retire);
        retire(last);
        drop(slot.end());
        drop(mm.end());
    });
}
