//! Pages from memory that is there already.

#![cfg(all(unix, feature = "std"))]

use std::{sync::Arc, thread};

use ptfrag::{
    AllocError, Domain, Embed, Hooks, Memory, Mm, OwnedDomain, PageDesc, PageSource, SpinLock,
};

struct Parts<S, H = ()>(S, H);

impl<S: PageSource, H: Hooks> Embed for Parts<S, H> {
    type Rcu = &'static Domain;
    type Source = S;
    type Lock = SpinLock;
    type Hooks = H;
}

fn domain() -> &'static Domain {
    Box::leak(Box::new(OwnedDomain::new()))
}

fn descs(count: usize) -> &'static mut [PageDesc] {
    Box::leak((0..count).map(|_| PageDesc::new()).collect())
}

#[test]
fn whole_pages_of_any_memory() {
    for skip in [0, 1, 100, 4095] {
        let bytes: &'static mut [u8] = Box::leak(vec![7; 5 * 4096].into());
        let before = bytes.as_ptr().addr();
        let memory: &'static Memory<4096> =
            Box::leak(Box::new(Memory::new(&mut bytes[skip..], descs(8))));
        let mut pages = Vec::new();
        while let Ok(page) = memory.get() {
            // SAFETY: just got.
            let addr = unsafe { memory.addr(page) };
            assert_eq!(addr.addr().get() % 4096, 0);
            assert!((before + skip..=before + 4 * 4096).contains(&addr.addr().get()));
            assert_eq!(memory.desc(addr), Some(page));
            // SAFETY: all of the page is memory.
            assert_eq!(memory.desc(unsafe { addr.add(4095) }), Some(page));
            pages.push(page);
        }
        assert!((3..=5).contains(&pages.len()), "{}", pages.len());
        assert_eq!(memory.pages_out(), pages.len());
        // SAFETY: got above.
        pages.drain(..).for_each(|page| unsafe { memory.put(page) });
        assert_eq!(memory.pages_out(), 0);
    }
}

#[test]
fn too_little_memory() {
    for (len, count) in [(0, 4), (100, 4), (8192, 0)] {
        let memory: Memory<4096> = Memory::new(Box::leak(vec![0; len].into()), descs(count));
        assert_eq!(memory.get(), Err(AllocError));
        assert!(memory.is_scarce());
    }
    assert!(Memory::<4096>::in_heap(usize::MAX).is_err());
    assert!(Memory::<4096>::in_heap(0).unwrap().get().is_err());
}

/// Mms on several threads share it, and everything comes back.
#[test]
fn shared_by_reference() {
    let source = Arc::new(Memory::<4096>::in_heap(64).unwrap());
    let domain = domain();
    thread::scope(|scope| {
        for _ in 0..4 {
            let source = source.clone();
            scope.spawn(move || {
                let mm = Mm::<16, 256, Parts<Arc<Memory<4096>>>>::new_in(domain, source, ());
                let mut held = Vec::new();
                for round in 0..4000 {
                    if let Ok(frag) = mm.alloc() {
                        held.push(frag);
                    }
                    if held.len() > 100 {
                        let frag = held.swap_remove(round % held.len());
                        let _section = domain.read();
                        frag.retire();
                    }
                }
            });
        }
    });
    while source.pages_out() != 0 {
        domain.barrier();
    }
    assert_eq!(Arc::strong_count(&source), 1);
}

/// Fresh pages of the allocator's are zero, and it is known; others are not.
#[test]
fn what_is_zeroed() {
    let memory = Memory::<1024>::in_heap(1).unwrap();
    let page = memory.get().unwrap();
    // SAFETY: just got, here and below.
    assert!(unsafe { memory.is_zeroed(page) });
    // SAFETY: got above.
    unsafe { memory.put(page) };
    let page = memory.get().unwrap();
    // SAFETY: as above.
    assert!(!unsafe { memory.is_zeroed(page) });
    // SAFETY: as above.
    unsafe { memory.put(page) };
}

#[test]
#[should_panic(expected = "ptfrag: pages are aligned to their size")]
fn not_aligned() {
    let bytes: &'static mut [u8] = Box::leak(vec![0; 3 * 4096].into());
    let at = std::ptr::NonNull::from(bytes).cast::<u8>();
    let odd = at.map_addr(|addr| (addr.get().next_multiple_of(4096) + 1).try_into().unwrap());
    // SAFETY: it panics before it looks there.
    let _memory = unsafe { Memory::<4096>::at(odd, std::ptr::NonNull::from(descs(1)).cast(), 1) };
}
