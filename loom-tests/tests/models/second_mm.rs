//! A taker that looks at a page while it goes to another mm through the source (rule 6). The
//! looker's fragment must be its own mm's in every order: the support checks that in `take`.

use crate::support::*;

/// The looker finds the page on `a`'s list and is slow; meanwhile it is emptied and goes to `b`.
///
/// ```text
/// setup   a: page F = {1, 2, 3} listed, 0 used
/// looker                          main
/// enter; first = page             give back 0: unlink; home
/// load word                       grace period (gives up if the looker is inside)
/// CAS F = {2, 3}, or start over   b takes the page: F = {1, 2, 3}, quiet
/// leave
/// ```
///
/// Rules 1 and 6. Two threads, exhaustive. Fails with "another mm's fragment" or a race when
/// a taker without the lock does not ask whether the page is shown, or when another mm shows it at
/// once; and when a taker that finds only the host goes on under the lock with the page that it saw instead of the list's first.
#[test]
fn looker_against_a_second_mm() {
    explore::<256>(2, 1, || {
        let a: Shared<Mm4> = Shared::new(mm());
        let b: Shared<Mm4> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        hand_over(a, b, looker);
    });
}

/// The looker finds nothing but the host on `a`'s first page. Before it has the lock the page has
/// gone to `b`, and its word is the same but for SHOWN.
///
/// ```text
/// setup   a: page F = {1} listed, 0 used
/// looker                          main
/// enter; only the host: leave     give back 0: unlink; home
///                                 b takes the page: F = {1}, quiet
/// lock a; the list's first page: none
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the node, or another mm's fragment, when a
/// taker that needs the lock goes on with the page that it saw before. On pages of two it finds there
/// what it saw.
#[test]
fn host_looker_against_a_second_mm() {
    explore::<128>(2, 1, || {
        let a: Shared<Mm2> = Shared::new(mm());
        let b: Shared<Mm2> = Shared::new(mm());
        let last = take(&a, 0).unwrap();
        let looker = spawn(move || take(&a, 0));
        give_back(last);
        hand_over(a, b, looker);
    });
}

/// All fragments of a page that was unlinked by the take of its host go back at once, and nothing
/// waits for a grace period.
///
/// ```text
/// setup   a: page F = {3} listed; 0, 1, 2 used
/// looker                          main
/// enter; first = page             take 3 (unlink); give all back: home
/// load word, CAS                  grace period; b takes the page
/// leave
/// ```
///
/// Rule 6. Two threads, exhaustive. Fails when b shows the page at once.
#[test]
fn give_back_of_all_against_a_looker() {
    explore::<256>(2, 1, || {
        let a: Shared<Mm4> = Shared::new(mm());
        let b: Shared<Mm4> = Shared::new(mm());
        let mut frags: Vec<_> = (0..3).map(|_| take(&a, 0).unwrap()).collect();
        let looker = spawn(move || take(&a, 0));
        frags.extend(take(&a, 0));
        give_back_all(frags);
        hand_over(a, b, looker);
    });
}
