//! A taker that looks at a page while it goes to another mm.
mod support;
use support::*;

#[test]
fn looker_against_a_second_mm() {
    explore::<128>("looker_against_a_second_mm", 2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        try_grace_period();
        let next = take(&b, 1);
        let found = looker.join().unwrap();
        found.into_iter().for_each(retire);
        next.into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}

#[test]
fn give_back_of_all_against_a_looker() {
    explore::<128>("give_back_of_all_against_a_looker", 2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let first = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        if let Some(second) = take(&a, 0) {
            give_back_all(vec![first, second]);
        } else {
            give_back(first);
        }
        try_grace_period();
        let next = take(&b, 1);
        let found = looker.join().unwrap();
        found.into_iter().for_each(retire);
        next.into_iter().for_each(retire);
        drop(a.end());
        drop(b.end());
    });
}
