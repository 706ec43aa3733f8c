//! The mm's end.
mod support;
use support::*;

#[test]
fn close_against_the_last_retire() {
    explore::<128>("close_against_the_last_retire", 2, 1, || {
        let owned: Mm2 = mm();
        let last = take(&owned, 0).unwrap();
        let owner = spawn(move || drop(owned));
        retire(last);
        try_grace_period();
        try_grace_period();
        owner.join().unwrap();
    });
}

#[test]
fn give_back_after_the_close() {
    explore::<128>("give_back_after_the_close", 2, 1, || {
        let owned: Mm2 = mm();
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        retire(first);
        drop(owned);
        let other = spawn(move || give_back(last));
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
    });
}

#[test]
fn drop_with_a_call_in_flight() {
    explore::<128>("drop_with_a_call_in_flight", 3, 1, || {
        let owned: Mm2 = mm();
        let [first, last] = [take(&owned, 0).unwrap(), take(&owned, 0).unwrap()];
        retire(first);
        let owner = spawn(move || drop(owned));
        let other = spawn(move || give_back(last));
        try_grace_period();
        try_grace_period();
        owner.join().unwrap();
        other.join().unwrap();
    });
}
