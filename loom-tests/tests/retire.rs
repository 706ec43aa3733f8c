//! Retires against the callback.
mod support;
use support::*;

#[test]
fn promotion_and_rearm() {
    explore::<256>("promotion_and_rearm", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let other = spawn(move || {
            retire(a);
            retire(b);
        });
        retire(c);
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}
