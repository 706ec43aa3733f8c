//! Two pages next to each other on the list, and two threads at them at once (rules 1 and 14).

use ptfrag::Frag;

use crate::support::*;

type Frag2 = Frag<2, SIZE, Env<{ 2 * SIZE }>>;

/// Lists two pages with one fragment free each, and answers with those that are used: of the second
/// page on the list and of the first.
fn two_listed(mm: &Mm2) -> [Frag2; 2] {
    let [behind, behind_host, front, front_host] = [0; 4].map(|_| take(mm, 0).unwrap());
    give_back(behind_host);
    give_back(front_host);
    [behind, front]
}

/// Two pages go on the list.
///
/// ```text
/// setup   A, B: 0, 1 used; unlisted
/// giver                           other
/// lock; F = {1} of A; link        lock; F = {1} of B; link
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes, or a list that lacks a page, when
/// a give-back links without the lock.
#[test]
fn two_links() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [a, a_host, b, b_host] = [0; 4].map(|_| take(&mm, 0).unwrap());
        let other = spawn(move || give_back(b_host));
        give_back(a_host);
        other.join().unwrap();
        [a, b].into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// Two pages go home.
///
/// ```text
/// setup   list: A, B; F = {1}, 0 used of both
/// giver                           other
/// lock; A = 0; unlink; unlock     lock; B = 0; unlink; unlock
/// call                            call
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes when a page that goes home is
/// unlinked without the lock.
#[test]
fn two_go_home() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [behind, front] = two_listed(&mm);
        let other = spawn(move || give_back(behind));
        give_back(front);
        other.join().unwrap();
        drop(mm.end());
    });
}

/// The mm is closed while the second page goes home.
///
/// ```text
/// setup   list: A, B; F = {1}, 0 used of both
/// closer                          giver
/// lock; unlink A; unlock          lock; B = 0; unlink; unlock
/// the same with B, if it is there call
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes when the close unlinks without the
/// lock.
#[test]
fn a_close_and_a_release() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let [behind, front] = two_listed(&mm);
        let other = spawn(move || give_back(behind));
        mm.close();
        other.join().unwrap();
        retire(front);
        drop(mm.end());
    });
}

/// The second page, which is empty and kept, is let go of while the host of the first is taken.
///
/// ```text
/// setup   list: A, B; A: F = {1}, 0 used; B: F = {0, 1}, kept
/// shrinker                        taker
/// lock; B = 0; unlink; unlock     enter; only the host: leave
/// call                            lock; take the host of A; unlink; unlock
/// ```
///
/// Rule 1. Two threads, exhaustive. Fails with a race on the nodes when the shrinker unlinks without
/// the lock.
#[test]
fn a_shrink_and_a_take() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm().keeping(2));
        let [behind, front] = two_listed(&mm);
        give_back(behind);
        let other = spawn(move || take(&mm, 0).unwrap());
        mm.shrink();
        let host = other.join().unwrap();
        [host, front].into_iter().for_each(retire);
        drop(mm.end());
    });
}

/// Two takers, and nothing else to be had than the hosts of the two pages.
///
/// ```text
/// setup   list: A, B; F = {1}, 0 used of both; no page at the source
/// first                           second
/// enter; only the host: leave     enter; only the host: leave
/// lock; take the host of A;       lock; take the first page's host, which is that of A or
/// unlink; unlock                  else that of B; unlink; unlock
/// ```
///
/// Rules 1 and 14. Two threads, exhaustive. Fails when a page stays first on the list after its last
/// fragment was taken: the second taker finds nothing there, and does not get to the usable page
/// behind it. s390 kept such pages at the head of its list until July 2023.
#[test]
fn two_takers_of_two_hosts() {
    explore::<128>(2, 2, || {
        let mm: Shared<Mm2> = Shared::new(mm());
        let used = two_listed(&mm);
        let other = spawn(move || take(&mm, 0));
        let mine = take(&mm, 0);
        let hosts = [mine, other.join().unwrap()];
        let hosts = hosts.map(|host| host.expect("a page on the list is usable"));
        hosts.into_iter().chain(used).for_each(retire);
        drop(mm.end());
    });
}
