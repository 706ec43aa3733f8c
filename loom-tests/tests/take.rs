//! Takers against takers, and against what comes back meanwhile.
mod support;
use support::*;

#[test]
fn two_takers_and_the_last_two() {
    explore::<256>("two_takers_and_the_last_two", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let kept = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let other = spawn(move || take(&mm, 0).unwrap());
        let mine = take(&mm, 0).unwrap();
        let theirs = other.join().unwrap();
        assert!(take(&mm, 0).is_none());
        retire(mine);
        retire(theirs);
        kept.into_iter().for_each(retire);
        drop(mm.end());
    });
}

#[test]
fn last_fragment_against_a_link() {
    explore::<128>("last_fragment_against_a_link", 2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [q, q_host] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let r = take(&mm, 0).unwrap();
        retire(q);
        let other = spawn(move || take(&mm, 0).unwrap());
        try_grace_period();
        let r_host = other.join().unwrap();
        [q_host, r, r_host].into_iter().for_each(retire);
        drop(mm.end());
    });
}
