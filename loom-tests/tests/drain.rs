//! The drain of an empty page.
mod support;
use support::*;

#[test]
fn drain_against_a_taker() {
    explore::<128>("drain_against_a_taker", 2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let last = take(&mm, 0).unwrap();
        let other = spawn(move || {
            if let Some(frag) = take(&mm, 0) {
                give_back(frag);
            }
        });
        give_back(last);
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}

#[test]
fn drain_against_its_callback() {
    explore::<128>("drain_against_its_callback", 2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let last = take(&mm, 0).unwrap();
        let other = spawn(move || {
            try_grace_period();
            try_grace_period();
        });
        give_back(last);
        other.join().unwrap();
        drop(mm.end());
    });
}

#[test]
fn give_back_against_the_last_callback() {
    explore::<128>("give_back_against_the_last_callback", 2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let [first, second] = [take(&a, 0).unwrap(), take(&a, 0).unwrap()];
        retire(first);
        let other = spawn(move || give_back(second));
        try_grace_period();
        try_grace_period();
        let next = take(&b, 1);
        other.join().unwrap();
        next.into_iter().for_each(give_back);
        drop(a.end());
        drop(b.end());
    });
}
