//! A lock holder that stops for ever.
mod support;
use ptfrag::RawLock;
use support::*;

#[test]
fn stopped_lock_holder() {
    explore::<128>("stopped_lock_holder", 2, 2, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let [a0, a1] = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
        let [b0, b1] = [take(&b, 1).unwrap(), take(&b, 1).unwrap()];
        let jammer = spawn(|| Stage::with(|stage| stage.lock(0)).lock());
        retire(b0);
        retire(a0);
        assert!(try_grace_period());
        let again = take(&b, 1).unwrap();
        retire(a1);
        jammer.join().unwrap();
        assert!(try_grace_period());
        Stage::with(|stage| stage.unjam(0));
        [again, b1].into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}
