//! What a fragment holds when it is handed out.
#![cfg(all(unix, feature = "std"))]

mod common;

use std::{ptr::NonNull, slice};

use common::{ByHand, Dice, Manual};
use ptfrag::{Frag, Hooks, Mm, PageSource, Region, Zeroed};

/// Its page-table entries are empty when their lowest bit is set.
struct Invalid;

const EMPTY: [u8; 8] = 0x400_u64.to_ne_bytes();

impl Hooks for Invalid {
    const EMPTY_NODE: [usize; 2] = [0x400; 2];

    fn page_in(&self, page: NonNull<u8>) -> Result<(), ptfrag::AllocError> {
        // SAFETY: the page is the hook's while it runs.
        let page = unsafe { slice::from_raw_parts_mut(page.as_ptr(), 4096) };
        page.chunks_exact_mut(8).for_each(|entry| entry.copy_from_slice(&EMPTY));
        Ok(())
    }
}

/// A node leaves behind what the embedder says, and nothing else is touched.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_words_of_a_node() {
    let (rcu, region) = (Manual::new(), Region::new(3).unwrap());
    let mm = Mm::<4, 1024, ByHand<4096, Invalid>>::new_in(rcu, region.clone(), Invalid);
    for _ in 0..3 {
        let frags: Vec<_> = (0..12).map(|_| mm.alloc().unwrap()).collect();
        for frag in &frags {
            assert!(frag.chunks_exact(8).all(|entry| entry == EMPTY), "{frag:?}");
        }
        Frag::retire_all(frags);
        rcu.run_down();
    }
    assert_eq!(region.pages_out(), 0);
}

/// Every fragment is handed out all zero, whatever became of it and of its page.
#[test]
fn zeros() {
    type Zero = Zeroed<4096, 256>;
    // SAFETY: for the mm below, which has this geometry.
    let zeroed = unsafe { Zero::new() };
    let (rcu, region) = (Manual::new(), Region::<4096>::with_keep(40, 4).unwrap());
    // Others leave their pages as they are.
    let dirt = Mm::<16, 256, ByHand<4096, ()>>::new_in(rcu, region.clone(), ());
    let mm = Mm::<16, 256, ByHand<4096, Zero>>::new_in(rcu, region.clone(), zeroed).keeping(2);
    let dice = Dice::new(5);
    for _ in 0..60 {
        let mut local = mm.local();
        let mut frags = Vec::new();
        for _ in 0..dice.below(300) {
            let mut frag = if dice.below(2) == 0 { mm.alloc() } else { local.alloc() }.unwrap();
            assert!(frag.iter().all(|byte| *byte == 0), "{frag:?}");
            frag.fill(0xa5);
            frags.push(frag);
        }
        for frag in frags {
            match dice.below(5) {
                0 => frag.retire(),
                1 => local.retire(frag),
                2 => local.give_back(frag),
                3 => Frag::give_back_all([frag]),
                _ => drop(frag),
            }
        }
        drop(local);
        rcu.run_down();
        let mut others: Vec<_> = (0..dice.below(100)).map(|_| dirt.alloc().unwrap()).collect();
        others.iter_mut().for_each(|frag| frag.fill(0x5a));
        drop(others);
        rcu.run_down();
    }
    drop((mm, dirt));
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// A second free is found before its hook touches what is not the caller's any more.
#[test]
fn a_hook_and_a_double_free() {
    type Zero = Zeroed<4096, 1024>;
    // SAFETY: for the mm below, which has this geometry.
    let zeroed = unsafe { Zero::new() };
    let (rcu, region) = (Manual::new(), Region::<4096>::new(2).unwrap());
    let mm = Mm::<4, 1024, ByHand<4096, Zero>>::new_in(rcu, region.clone(), zeroed);
    let frags = [(); 4].map(|()| mm.alloc().unwrap().into_raw());
    // SAFETY: let go above.
    let [first, second] = [(), ()].map(|()| unsafe { mm.from_raw(frags[3]) });
    drop(first);
    // Fragment 3 is the host now, and holds the list node.
    // SAFETY: only looked at, to see that nobody writes to it.
    let node = || unsafe { frags[3].cast::<[usize; 2]>().read() };
    let before = node();
    assert_ne!(before, [0; 2]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(second))).is_err());
    assert_eq!(node(), before);
    // SAFETY: the other three are still out.
    frags[..3].iter().for_each(|&frag| unsafe { mm.retire_raw(frag) });
    drop(mm);
    rcu.run_down();
    assert_eq!(region.pages_out(), 0);
}

/// Pages from the system are known to be zero, and those that somebody has had are not.
#[test]
fn what_the_region_knows() {
    let region = Region::<4096>::with_keep(4, 1).unwrap();
    let get = || {
        let page = region.get().unwrap();
        // SAFETY: just taken.
        (page, unsafe { region.is_zeroed(page) })
    };
    let pages = [get(), get()];
    assert!(pages.iter().all(|(_, zeroed)| *zeroed));
    for (page, _) in pages {
        // SAFETY: the page is from this region.
        let addr = unsafe { region.addr(page) };
        // SAFETY: it is out.
        unsafe { addr.write(1) };
        // SAFETY: taken above.
        unsafe { region.put(page) };
    }
    // One is warm, and the other has given its memory back, where that is possible.
    let [first, second] = [get(), get()];
    assert!(!first.1);
    assert_eq!(second.1, cfg!(target_os = "linux"));
}
