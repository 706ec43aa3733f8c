//! A slot's readers and publishers.

use crate::support::*;
use ptfrag::Rcu;

/// A fragment is written and published while a reader looks for it.
///
/// ```text
/// reader                          owner
/// enter; load slot                write 0
/// read 0, if it is there          swap it into the slot
/// leave
/// ```
///
/// The edge of publishing. Two threads, exhaustive. Fails with a race when the slot's swap is not
/// Release, or its load not Acquire.
#[test]
fn publish_against_a_reader() {
    explore::<128>(2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let slot = Shared::new(mm.slot());
        let frag = take(&mm, 0).unwrap();
        let addr = frag.as_ptr();
        let other = spawn(move || {
            let section = ModelRcu.read();
            if let Some(seen) = slot.load(&section) {
                read(std::ptr::NonNull::from(seen).cast());
            }
            drop(section);
        });
        write(addr);
        slot.publish(frag);
        other.join().unwrap();
        Stage::with(|stage| stage.retired(addr));
        drop(slot.end());
        drop(mm.end());
    });
}

/// Two threads publish in one slot: the later one retires what the other has written, and a third
/// ends the grace periods.
///
/// ```text
/// setup   page F = {3} listed, P = {2}; 0, 1 used
/// first                 second                      third
/// write 0               swap 1 in                   grace period: 2 -> F, X -> P
/// swap it in            retire what was there: X    grace period: the hook writes it
/// ```
///
/// Three threads, at most 3 preemptions. Fails with a race when the slot's swap is not Acquire: the
/// retirement does not come after the other publisher's writing. A retirement that queues the head
/// itself does not tell, since `queue` acquires.
#[test]
fn publish_against_publish() {
    explore::<256>(3, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let slot = Shared::new(mm.slot());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        // Both end in retirement, whoever comes first.
        for addr in [a.as_ptr(), b.as_ptr()] {
            Stage::with(|stage| stage.retired(addr));
        }
        retire(c);
        let first = spawn(move || {
            write(a.as_ptr());
            slot.publish(a);
        });
        let second = spawn(move || slot.publish(b));
        try_grace_period();
        try_grace_period();
        first.join().unwrap();
        second.join().unwrap();
        drop(slot.end());
        drop(mm.end());
    });
}
