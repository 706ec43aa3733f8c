//! Pages that go from one mm to another before a grace period has passed.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use common::{Manual, ManualGuard};
use ptfrag::{Domain, Embed, Frag, Mm, OwnedDomain, Rcu, RcuFn, RcuHead, Region, SpinLock, Std};

type Small<'d> = Mm<4, 1024, Std<'d>>;

fn mm<'d>(domain: &'d Domain, region: &Region<4096>) -> Small<'d> {
    Mm::new(domain, region.clone())
}

/// Whether the mm shows the only page that there is, of which it has something.
fn is_shown(mm: &Small<'_>) -> bool {
    let frag = mm.alloc().unwrap();
    mm.page_word(frag.as_ptr()).unwrap().is_shown()
}

#[test]
fn an_mm_shows_its_own_page_at_once() {
    let domain = OwnedDomain::new();
    let region = Region::new(1).unwrap();
    let (mine, section) = (mm(&domain, &region), domain.read());
    assert!(is_shown(&mine) && is_shown(&mine));
    let theirs = mm(&domain, &region);
    assert!(!is_shown(&theirs));
    // Others have had it, and nobody remembers whom the lookers belong to.
    assert!(!is_shown(&mine) && !is_shown(&theirs));
    drop(section);
    domain.synchronize();
    assert!(is_shown(&theirs) && !is_shown(&mine));
}

/// All that can be done with a page can be done with a quiet one.
#[test]
fn the_life_of_a_quiet_page() {
    let domain = OwnedDomain::new();
    let region = Region::new(2).unwrap();
    let quiet = |pages: u32| {
        let domain: &Domain = &domain;
        let one = mm(domain, &region);
        drop([(); 5].map(|()| one.alloc().unwrap()));
        mm(domain, &region).keeping(pages)
    };
    for round in 0..3 {
        let section = domain.read();
        let mm = quiet(2);
        let frags = [(); 8].map(|()| mm.alloc().unwrap());
        assert!(mm.alloc().is_err(), "two pages");
        let addr = frags[0].as_ptr();
        let word = || mm.page_word(addr).unwrap();
        assert!(!word().is_shown() && word().used().len() == 4);
        let [a, b, c, d, rest @ ..] = frags;
        drop(a);
        assert!(word().is_listed() && !word().is_shown());
        b.retire();
        // Its grace period has not begun.
        c.retire();
        assert_eq!((word().pending().len(), word().next().len()), (2, 0));
        drop((d, rest));
        assert_eq!(region.pages_out(), 2, "one is kept, and one waits");
        assert_eq!(mm.shrink(), 1);
        drop(section);
        domain.barrier();
        assert!(word().is_listed() && word().is_all_free(), "kept");
        match round {
            0 => {
                // The grace period of the lookers is over as well.
                let frag = mm.alloc().unwrap();
                assert!(mm.page_word(frag.as_ptr()).unwrap().is_shown());
                frag.retire();
            }
            1 => assert_eq!(mm.shrink(), 1),
            _ => mm.close(),
        }
        drop(mm);
        domain.barrier();
        assert_eq!(region.pages_out(), 0);
    }
}

/// What a quiet page's lookers are waited for by is a ticket of their own domain.
#[test]
fn tickets_of_two_domains() {
    let (first, second) = (OwnedDomain::new(), OwnedDomain::new());
    let region = Region::new(1).unwrap();
    let mine = mm(&first, &region);
    let section = first.read();
    drop(mine.alloc().unwrap());
    for _ in 0..2 {
        let theirs = mm(&second, &region);
        let frag = theirs.alloc().unwrap();
        let addr = frag.as_ptr();
        assert!(!theirs.page_word(addr).unwrap().is_shown());
        frag.retire();
        second.barrier();
        second.synchronize();
        assert_eq!(region.pages_out(), 0);
        assert!(!is_shown(&theirs), "a grace period of the other domain");
    }
    drop(section);
    first.synchronize();
    assert!(!is_shown(&mm(&second, &region)), "no domain knows another's tickets");
    assert!(is_shown(&mm(&first, &region)));
}

/// An mm that is dropped with everything retired, one by one, needs one grace period.
#[test]
fn one_grace_period_at_the_end() {
    let domain = OwnedDomain::new();
    let region = Region::<4096>::new(100).unwrap();
    for step in 1..=16 {
        let mm = Mm::<16, 256, _>::new(&domain, region.clone());
        let mut frags: Vec<_> = (0..1000).map(|_| mm.alloc().unwrap()).collect();
        // In whatever order.
        for at in 0..frags.len() {
            frags.swap(at, at * step % 1000);
        }
        frags.into_iter().for_each(|frag| frag.retire());
        drop(mm);
        domain.barrier();
        assert_eq!(region.pages_out(), 0);
    }
}

/// What is left of another domain's ticket on a page whose lookers are gone does not keep retirements from
/// joining.
#[test]
fn a_page_from_another_domain_joins() {
    let (first, second) = (OwnedDomain::new(), OwnedDomain::new());
    let region = Region::new(1).unwrap();
    let one = mm(&first, &region);
    Frag::retire_all([(); 4].map(|()| one.alloc().unwrap()));
    first.barrier();
    assert_eq!(region.pages_out(), 0);
    let other = mm(&second, &region);
    let [a, b, c, d] = [(); 4].map(|()| other.alloc().unwrap());
    [a, b, c].into_iter().for_each(Frag::retire);
    let word = other.page_word(d.as_ptr()).unwrap();
    assert!(word.is_shown());
    assert_eq!((word.pending().len(), word.next().len()), (3, 0));
}

/// A domain that numbers its grace periods from one, and says of no ticket that it gave it.
#[derive(Clone, Copy)]
struct Numbered(Manual, &'static AtomicU64);

impl Numbered {
    fn new() -> Self {
        Self(Manual::new(), Box::leak(Box::default()))
    }

    /// A grace period begins, for what has been queued before.
    fn begin(self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    /// It ends. Nothing was queued since it began.
    fn end(self) {
        self.0.grace_period();
    }
}

// SAFETY: as `Manual`, and the tickets of one domain are what they are to be.
unsafe impl Rcu for Numbered {
    type Guard = ManualGuard;

    fn read(self) -> ManualGuard {
        self.0.read()
    }

    fn covers(self, guard: &ManualGuard) -> bool {
        self.0.covers(guard)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.call(head, func) };
    }

    fn ticket(self) -> u64 {
        self.1.load(Ordering::Relaxed) + 1
    }
}

struct Parts;

impl Embed for Parts {
    type Rcu = Numbered;
    type Source = Region<4096>;
    type Lock = SpinLock;
    type Hooks = ();
}

/// A ticket that another domain's mm has left on a page is no ticket of the call in flight there, though
/// it is the same number.
#[test]
fn nothing_joins_under_another_domains_ticket() {
    let (first, second) = (Numbered::new(), Numbered::new());
    let region = Region::new(1).unwrap();
    let one = Mm::<4, 1024, Parts>::new_in(first, region.clone(), ());
    first.begin();
    first.end();
    drop(one.alloc().unwrap());
    let two = Mm::<4, 1024, Parts>::new_in(second, region.clone(), ());
    let [a, b, c] = [(); 3].map(|()| two.alloc().unwrap());
    a.retire();
    second.begin();
    // Whoever begins to read here may find `b`, and is not waited for by what has begun.
    b.retire();
    second.end();
    let word = two.page_word(c.as_ptr()).unwrap();
    assert_eq!((word.free().len(), word.pending().len(), word.used().len()), (2, 1, 1), "{word}");
    second.begin();
    second.end();
    drop(c);
    assert_eq!(region.pages_out(), 0);
}
