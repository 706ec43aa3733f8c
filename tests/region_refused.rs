//! A region whose growth the system refuses. It has a process of its own, since the limit that it
//! sets holds for every thread, and this test must be the only one in it.
#![cfg(all(target_os = "linux", feature = "std"))]

use ptfrag::{AllocError, PageSource, Region};

/// Sets the soft limit on writable private memory and returns the one before.
fn limit(bytes: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live `rlimit`.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    limit.rlim_cur = bytes;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
    before
}

/// Bytes that count towards that limit.
fn writable() -> libc::rlim_t {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    let kib: libc::rlim_t = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

#[test]
fn refused_growth_is_an_error_and_passes() {
    const PAGES: usize = 4096;
    let region = Region::<4096>::new(PAGES).unwrap();
    let mut pages = Vec::with_capacity(PAGES);
    // The reservation itself is not charged.
    for first in [true, false] {
        while pages.len() < region.pages_grown() {
            pages.push(region.get().unwrap());
        }
        let counts = (region.pages_grown(), region.pages_out(), region.pages_taken());

        let before = limit(4096);
        let answers = [region.get(), region.get()];
        let reused = (!first).then(|| {
            let page = pages.pop().unwrap();
            // SAFETY: the page is from this region and is put once.
            unsafe { region.put(page) };
            (page, region.get())
        });
        limit(before);

        assert_eq!(answers, [Err(AllocError); 2]);
        if let Some((page, again)) = reused {
            assert_eq!(again, Ok(page));
            pages.push(page);
        }
        assert_eq!((counts.0, counts.1), (region.pages_grown(), region.pages_out()));
        assert_eq!(counts.2 + u64::from(!first), region.pages_taken());

        // With the limit lifted the region grows.
        let page = region.get().unwrap();
        assert!(region.pages_grown() > counts.0);
        // SAFETY: the page is from this region.
        let addr = unsafe { region.addr(page) };
        // SAFETY: the page is out, and this test's.
        unsafe { addr.write_bytes(1, 4096) };
        pages.push(page);
    }
    // Where the system refuses a whole chunk (64 KiB here), it may still grant a single page.
    // SAFETY: `sysconf` has no preconditions.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } == 4096 {
        while pages.len() < region.pages_grown() {
            pages.push(region.get().unwrap());
        }
        let before = limit(writable() + 32768);
        let page = region.get();
        limit(before);
        pages.push(page.unwrap());
        assert_eq!(region.pages_grown(), pages.len());
    }

    for page in pages {
        // SAFETY: the pages are from this region and put once each.
        unsafe { region.put(page) };
    }
}
