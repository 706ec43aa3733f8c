//! One model for each happens-before edge of DESIGN section 4.
mod support;
use support::*;

#[test]
fn callback_before_take() {
    explore::<256>("callback_before_take", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || take(&mm, 0).unwrap());
        try_grace_period();
        let frag = other.join().unwrap();
        [b, c, frag].into_iter().for_each(retire);
        drop(mm.end());
    });
}

#[test]
fn give_back_before_take() {
    explore::<256>("give_back_before_take", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        let other = spawn(move || {
            write(a.as_ptr());
            give_back(a);
        });
        let frag = take(&mm, 0).unwrap();
        other.join().unwrap();
        [b, c, frag].into_iter().for_each(retire);
        drop(mm.end());
    });
}

#[test]
fn retire_before_its_callback() {
    explore::<256>("retire_before_its_callback", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let [a, b, c] = [0; 3].map(|_| take(&mm, 0).unwrap());
        retire(a);
        let other = spawn(move || {
            write(b.as_ptr());
            retire(b);
        });
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        retire(c);
        drop(mm.end());
    });
}

#[test]
fn use_before_release() {
    explore::<128>("use_before_release", 2, 1, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [a, b] = [take(&mm, 0).unwrap(), take(&mm, 0).unwrap()];
        let other = spawn(move || {
            write(a.as_ptr());
            give_back(a);
        });
        retire(b);
        try_grace_period();
        try_grace_period();
        other.join().unwrap();
        drop(mm.end());
    });
}

#[test]
fn fresh_page_before_a_looker() {
    explore::<256>("fresh_page_before_a_looker", 2, 1, || {
        let mm: Shared<Mm4> = Shared::new(mm());
        let other = spawn(move || take(&mm, 0));
        if let Some(frag) = take(&mm, 0) {
            retire(frag);
        }
        other.join().unwrap().into_iter().for_each(retire);
        drop(mm.end());
    });
}
