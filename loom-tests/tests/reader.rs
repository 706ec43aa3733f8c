//! Readers inside their sections.
mod support;
use ptfrag::Rcu;
use support::*;

#[test]
fn section_against_reuse() {
    explore::<256>("section_against_reuse", 2, 1, || {
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

#[test]
fn published_against_retire() {
    explore::<128>("published_against_retire", 2, 1, || {
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
