//! The ranges of tickets that domains have one after the other, and more domains than there are ranges. (One
//! test in a process of its own, since the ranges are the process's.)
#![cfg(all(unix, feature = "std"))]

use ptfrag::{Domain, Mm, OwnedDomain, Region, Std};

fn mm<'d>(domain: &'d Domain, region: &Region<4096>) -> Mm<4, 1024, Std<'d>> {
    Mm::new(domain, region.clone())
}

/// Whether the mm shows the only page that there is, of which it has something.
fn is_shown(mm: &Mm<4, 1024, Std<'_>>) -> bool {
    let frag = mm.alloc().unwrap();
    mm.page_word(frag.as_ptr()).unwrap().is_shown()
}

/// A domain whose range another one had before knows that what was given then is over.
fn a_domain_goes_on_where_another_ended() {
    let region = Region::new(1).unwrap();
    for _ in 0..5000 {
        let domain = OwnedDomain::new();
        let [one, other] = [(); 2].map(|()| mm(&domain, &region));
        is_shown(&one);
        assert!(!is_shown(&other));
    }
    let domain = OwnedDomain::new();
    assert!(is_shown(&mm(&domain, &region)), "its lookers are gone");
}

/// With so many domains the last one gives no tickets. A page that its mm has shown stays quiet with every
/// other mm, whatever grace periods pass elsewhere.
fn a_domain_without_a_range() {
    let telling: Vec<_> = (0..4095).map(|_| OwnedDomain::new()).collect();
    let mute = OwnedDomain::new();
    let region = Region::new(1).unwrap();
    let one = mm(&mute, &region);
    let section = mute.read();
    drop(one.alloc().unwrap());
    for domain in [&telling[0], &telling[2000]] {
        let other = mm(domain, &region);
        let frag = other.alloc().unwrap();
        let is_shown = || other.page_word(frag.as_ptr()).unwrap().is_shown();
        other.alloc().unwrap().retire();
        domain.barrier();
        domain.synchronize();
        let _more = other.alloc().unwrap();
        assert!(!is_shown(), "a section is still open where the page was shown");
    }
    drop(section);
}

#[test]
fn domains_and_ranges() {
    a_domain_goes_on_where_another_ended();
    a_domain_without_a_range();
}
