//! The `mmap`ed page source, from outside.
#![cfg(all(unix, feature = "std"))]

use std::{
    collections::HashSet,
    fmt::{self, Write},
    io::ErrorKind,
    ptr::NonNull,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use ptfrag::{AllocError, PageDesc, PageSource, Region};

type Page = NonNull<PageDesc>;

fn addr<const PAGE: usize>(region: &Region<PAGE>, page: Page) -> NonNull<u8> {
    // SAFETY: the tests pass pages of `region` only.
    unsafe { region.addr(page) }
}

fn put<const PAGE: usize>(region: &Region<PAGE>, page: Page) {
    // SAFETY: the tests put pages of `region`, once each.
    unsafe { region.put(page) };
}

fn get_all<const PAGE: usize>(region: &Region<PAGE>, count: usize) -> Vec<Page> {
    (0..count).map(|_| region.get().unwrap()).collect()
}

/// Fills a page that is out.
fn fill<const PAGE: usize>(region: &Region<PAGE>, page: Page, byte: u8) {
    // SAFETY: the page is out, and the caller's.
    unsafe { addr(region, page).write_bytes(byte, PAGE) };
}

/// Whether every byte of a page that is out is `byte`.
fn filled<const PAGE: usize>(region: &Region<PAGE>, page: Page, byte: u8) -> bool {
    // SAFETY: the page is out, the caller's, and initialised by the source's contract.
    let bytes = unsafe { NonNull::slice_from_raw_parts(addr(region, page), PAGE).as_ref() };
    bytes.iter().all(|&b| b == byte)
}

fn at(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(std::ptr::without_provenance_mut(address))
}

fn layout<const PAGE: usize>() {
    // 33 is neither a whole number of chunks nor a power of two.
    const PAGES: usize = 33;
    let region = Region::<PAGE>::new(PAGES).unwrap();
    assert_eq!(<Region<PAGE> as PageSource>::PAGE_SIZE, PAGE);
    assert_eq!(region.capacity(), PAGES);

    let pages = get_all(&region, PAGES);
    assert_eq!(region.get(), Err(AllocError));
    let descs: HashSet<_> = pages.iter().map(|page| page.addr()).collect();
    let starts: HashSet<_> = pages.iter().map(|&page| addr(&region, page).addr().get()).collect();
    assert_eq!((descs.len(), starts.len()), (PAGES, PAGES));

    for (i, &page) in pages.iter().enumerate() {
        let start = addr(&region, page).addr().get();
        assert_eq!(start % PAGE, 0, "not naturally aligned");
        assert!(page.is_aligned());
        // Fresh pages are zeroed, writable to the last byte, and do not overlap.
        assert!(filled(&region, page, 0));
        fill(&region, page, i as u8 + 1);
        for offset in [0, 1, 7, 8, PAGE / 16, PAGE / 2 - 1, PAGE / 2, PAGE - 8, PAGE - 1] {
            assert_eq!(region.desc(at(start + offset).unwrap()), Some(page), "byte {offset}");
        }
        for outside in [start.wrapping_sub(1), start + PAGE] {
            assert_ne!(region.desc(at(outside).unwrap()), Some(page));
        }
    }
    for (i, &page) in pages.iter().enumerate() {
        assert!(filled(&region, page, i as u8 + 1));
    }

    let first = *starts.iter().min().unwrap();
    let end = *starts.iter().max().unwrap() + PAGE;
    assert_eq!(end - first, PAGES * PAGE);
    let foreign =
        [1, PAGE, first - PAGE, first - 1, end, end + PAGE - 1, usize::MAX, isize::MAX as usize];
    for address in foreign {
        assert_eq!(region.desc(at(address).unwrap()), None, "{address:#x}");
    }
    let local = 0u8;
    assert_eq!(region.desc(NonNull::from(&local)), None);
    for page in &pages {
        assert_eq!(region.desc(page.cast()), None, "a descriptor is not a page");
        put(&region, *page);
    }
}

#[test]
fn pages_are_aligned_and_found_by_address() {
    layout::<4096>();
    layout::<8192>();
    layout::<65536>();
    layout::<{ 2 << 20 }>();
    // Smaller than any system's page.
    layout::<256>();
    layout::<32>();
}

#[test]
fn regions_do_not_know_each_others_pages() {
    let (one, two) = (Region::<4096>::new(8).unwrap(), Region::<4096>::new(8).unwrap());
    let (a, b) = (one.get().unwrap(), two.get().unwrap());
    assert_eq!(one.desc(addr(&two, b)), None);
    assert_eq!(two.desc(addr(&one, a)), None);
    put(&one, a);
    put(&two, b);
}

#[test]
fn exhaustion_is_an_error_and_passes() {
    for keep in [0, 2, usize::MAX] {
        let region = Region::<4096>::with_keep(5, keep).unwrap();
        let mut pages = get_all(&region, 5);
        for _ in 0..3 {
            assert_eq!(region.get(), Err(AllocError));
        }
        assert_eq!((region.pages_out(), region.pages_taken()), (5, 5));
        let page = pages.swap_remove(1);
        put(&region, page);
        assert_eq!(region.pages_out(), 4);
        assert_eq!(region.get(), Ok(page));
        assert_eq!(region.get(), Err(AllocError));
        assert_eq!((region.pages_out(), region.pages_taken()), (5, 6));
        put(&region, page);
        pages.into_iter().for_each(|page| put(&region, page));
        assert_eq!(region.pages_out(), 0);
        pages = get_all(&region, 5);
        assert_eq!(region.get(), Err(AllocError));
        pages.into_iter().for_each(|page| put(&region, page));
    }
}

#[test]
fn grows_on_demand() {
    const PAGES: usize = 10_000;
    let region = Region::<4096>::new(PAGES).unwrap();
    assert_eq!(region.pages_grown(), 0);
    let first = region.get().unwrap();
    let base = addr(&region, first).addr().get();
    let mut grown = region.pages_grown();
    assert!((1..PAGES / 10).contains(&grown), "{grown}");

    let mut steps = 1;
    let mut pages = vec![first];
    while pages.len() < PAGES {
        assert!(region.desc(at(base + (grown - 1) * 4096).unwrap()).is_some());
        assert_eq!(region.desc(at(base + grown * 4096).unwrap()), None, "not grown yet");
        pages.push(region.get().unwrap());
        let now = region.pages_grown();
        assert!(now >= pages.len() && now >= grown && now <= PAGES);
        steps += usize::from(now > grown);
        grown = now;
    }
    assert_eq!(grown, PAGES);
    assert!((3..500).contains(&steps), "{steps} steps");
    pages.into_iter().for_each(|page| put(&region, page));
    assert_eq!(region.pages_grown(), PAGES);
}

#[test]
fn warm_pages_come_back_last_first() {
    let region = Region::<4096>::with_keep(16, 8).unwrap();
    let pages = get_all(&region, 8);
    for (i, &page) in pages.iter().enumerate() {
        fill(&region, page, i as u8 + 1);
        put(&region, page);
    }
    assert_eq!(region.pages_warm(), 8);
    for (i, &page) in pages.iter().enumerate().rev() {
        assert_eq!(region.get(), Ok(page));
        assert!(filled(&region, page, i as u8 + 1), "a warm page keeps its contents");
    }
    assert_eq!(region.pages_warm(), 0);
    pages.into_iter().for_each(|page| put(&region, page));
}

#[test]
fn small_pages_stay_warm() {
    let region = Region::<256>::with_keep(100, 0).unwrap();
    let pages = get_all(&region, 100);
    for &page in &pages {
        fill(&region, page, 7);
    }
    pages.iter().for_each(|&page| put(&region, page));
    assert_eq!(region.pages_warm(), 100);
    for &page in pages.iter().rev() {
        assert_eq!(region.get(), Ok(page));
        assert!(filled(&region, page, 7));
    }
    pages.into_iter().for_each(|page| put(&region, page));
}

#[test]
fn default_keep() {
    // 64 give their memory back together, and 10 wait to.
    let count = Region::<65536>::DEFAULT_KEEP + 64 + 10;
    let region = Region::<65536>::new(count).unwrap();
    get_all(&region, count).into_iter().for_each(|page| put(&region, page));
    let warm = if cfg!(target_os = "linux") { count - 64 } else { count };
    assert_eq!(region.pages_warm(), warm);
}

#[test]
fn handles_share_the_region() {
    let region = Region::<4096>::new(64).unwrap();
    let clone = region.clone();
    let page = region.get().unwrap();
    fill(&region, page, 9);
    assert_eq!((clone.pages_out(), clone.pages_taken()), (1, 1));
    assert_eq!(clone.desc(addr(&region, page)), Some(page));
    drop(region);

    assert!(filled(&clone, page, 9));
    // The page goes home through another handle, on another thread.
    let start = addr(&clone, page).addr().get();
    let other = thread::spawn(move || {
        let page = clone.desc(at(start).unwrap()).unwrap();
        put(&clone, page);
        clone
    });
    let clone = other.join().unwrap();
    assert_eq!(clone.pages_out(), 0);
    assert!(format!("{clone:?}").contains("capacity: 64"));
}

#[test]
fn impossible_sizes_are_invalid_input() {
    fn refused<const PAGE: usize>(pages: usize) {
        let error = Region::<PAGE>::new(pages).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{pages}: {error}");
        assert!(!error.to_string().is_empty());
    }
    refused::<4096>(0);
    refused::<4096>(usize::MAX);
    refused::<4096>(usize::MAX / 4096);
    refused::<4096>(usize::MAX / 4096 + 1);
    refused::<4096>(isize::MAX as usize / 4096 + 1);
    refused::<65536>(usize::MAX / 65536);
    // Here the descriptors are what does not fit.
    refused::<32>(usize::MAX / 32);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn more_address_space_than_there_is_is_the_systems_error() {
    let error = Region::<4096>::new(1 << 50).unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error}");
}

/// Threads take and put pages in bursts; each page's first word says who has it. The pages that go
/// cold come back zeroed and the others are wiped, so the stamp is zero whenever a page is taken.
fn hammer(threads: u64, capacity: usize, burst: usize, keep: usize) {
    const ROUNDS: usize = 3000;
    let region = Region::<4096>::with_keep(capacity, keep).unwrap();
    let start = Barrier::new(threads as usize);
    let taken: u64 = thread::scope(|s| {
        let workers: Vec<_> = (1..=threads)
            .map(|id| {
                let (region, start) = (region.clone(), &start);
                s.spawn(move || {
                    let stamp = |page| {
                        // SAFETY: the page is out, aligned, and accessed atomically by all.
                        unsafe { addr(&region, page).cast::<AtomicU64>().as_ref() }
                    };
                    let mut mine = Vec::new();
                    let mut taken = 0;
                    start.wait();
                    for round in 0..ROUNDS {
                        for _ in 0..1 + round % burst {
                            let Ok(page) = region.get() else { break };
                            taken += 1;
                            assert_eq!(stamp(page).swap(id, Ordering::Relaxed), 0);
                            assert_eq!(region.desc(addr(&region, page)), Some(page));
                            mine.push(page);
                        }
                        // Every other time in the order taken, so that the stacks get mixed.
                        if round % 2 == 0 {
                            mine.reverse();
                        }
                        for page in mine.drain(..) {
                            assert_eq!(stamp(page).swap(0, Ordering::Relaxed), id);
                            put(&region, page);
                        }
                    }
                    taken
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(region.pages_out(), 0);
    assert_eq!(region.pages_taken(), taken);
    // Nothing was lost.
    let all = get_all(&region, capacity);
    assert_eq!(region.get(), Err(AllocError));
    all.into_iter().for_each(|page| put(&region, page));
}

#[test]
fn two_threads() {
    hammer(2, 100, 20, usize::MAX);
    hammer(2, 100, 20, 4);
    // Too few for both.
    hammer(2, 8, 8, 2);
    hammer(4, 3, 3, 0);
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;

    /// The access flags of an address in `/proc/self/maps`.
    fn protection(address: usize) -> Option<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (start, end) = words.next()?.split_once('-')?;
            let start = usize::from_str_radix(start, 16).ok()?;
            let end = usize::from_str_radix(end, 16).ok()?;
            (start..end).contains(&address).then(|| words.next().map(str::to_owned))?
        })
    }

    /// The process's address space in bytes.
    #[cfg(target_pointer_width = "64")]
    fn address_space() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        // SAFETY: `sysconf` has no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        pages * size as u64
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_last_handle_unmaps() {
        // So large that what the other tests do meanwhile does not matter.
        const BYTES: u64 = 1 << 40;
        let region = Region::<65536>::new((BYTES >> 16) as usize).unwrap();
        let clone = region.clone();
        let page = region.get().unwrap();
        let whole = address_space();
        drop(region);
        assert!(address_space() > whole - BYTES / 2, "a handle is left");
        fill(&clone, page, 1);
        put(&clone, page);
        drop(clone);
        assert!(address_space() < whole - BYTES / 2, "still mapped");
    }

    /// How many of the system pages under a page are in memory.
    fn resident<const PAGE: usize>(region: &Region<PAGE>, page: Page) -> usize {
        let mut bits = vec![0u8; PAGE / 4096];
        let start = addr(region, page).as_ptr().cast();
        // SAFETY: the page is mapped, and there is a byte for each of its (at least 4 KiB large)
        // system pages.
        let answer = unsafe { libc::mincore(start, PAGE, bits.as_mut_ptr().cast()) };
        assert_eq!(answer, 0);
        bits.iter().map(|bit| usize::from(bit & 1)).sum()
    }

    #[test]
    fn only_the_grown_part_is_accessible() {
        let region = Region::<4096>::new(100_000).unwrap();
        let page = region.get().unwrap();
        let base = addr(&region, page).addr().get();
        let grown = region.pages_grown();
        assert!(protection(base).unwrap().starts_with("rw-p"));
        assert!(protection(base + grown * 4096 - 1).unwrap().starts_with("rw-p"));
        assert!(protection(base + grown * 4096).unwrap().starts_with("---p"));
        assert!(protection(base + 100_000 * 4096 - 1).unwrap().starts_with("---p"));
        put(&region, page);
        // Being cold or warm changes nothing about that.
        assert!(protection(base).unwrap().starts_with("rw-p"));
    }

    fn memory_returns<const PAGE: usize>() {
        const PAGES: usize = 40;
        const KEEP: usize = 6;
        let region = Region::<PAGE>::with_keep(PAGES, KEEP).unwrap();
        let pages = get_all(&region, PAGES);
        for &page in &pages {
            fill(&region, page, 0xa5);
            assert!(resident(&region, page) > 0);
        }
        pages.iter().for_each(|&page| put(&region, page));
        assert_eq!((region.pages_warm(), region.pages_out()), (KEEP, 0));
        let (warm, cold) = pages.split_at(KEEP);
        for &page in cold {
            assert_eq!(resident(&region, page), 0, "a cold page has no memory");
        }
        // Warm ones first, then the cold ones, which are usable at once and zeroed.
        for &page in warm.iter().rev() {
            assert_eq!(region.get(), Ok(page));
            assert!(filled(&region, page, 0xa5));
        }
        for &page in cold.iter().rev() {
            assert_eq!(region.get(), Ok(page));
            assert!(filled(&region, page, 0));
            fill(&region, page, 0x5a);
        }
        pages.into_iter().for_each(|page| put(&region, page));
    }

    #[test]
    fn memory_past_the_limit_returns_to_the_system() {
        // Where the system's pages are larger, these stay warm, as `small_pages_stay_warm` says.
        // SAFETY: `sysconf` has no preconditions.
        if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } == 4096 {
            memory_returns::<4096>();
            memory_returns::<16384>();
        }
        memory_returns::<65536>();
    }

    #[test]
    fn locked_memory_stays_warm() {
        let region = Region::<65536>::with_keep(2, 0).unwrap();
        let (free, locked) = (region.get().unwrap(), region.get().unwrap());
        fill(&region, locked, 3);
        let start = addr(&region, locked);
        // SAFETY: the range is mapped, and locking it changes nothing but where it may reside.
        if unsafe { libc::mlock(start.as_ptr().cast(), 4096) } != 0 {
            // The process may lock nothing.
            put(&region, free);
            put(&region, locked);
            return;
        }
        put(&region, locked);
        put(&region, free);
        assert_eq!((region.pages_out(), region.pages_warm()), (0, 1));
        assert_eq!(region.get(), Ok(locked));
        // Only its unlocked part can have been lost.
        // SAFETY: the page is out, and this test's.
        assert_eq!(unsafe { start.read() }, 3);
        put(&region, locked);
    }

    /// Of neighbours that give their memory back together, those that can do.
    #[test]
    fn locked_memory_keeps_no_others_warm() {
        let region = Region::<65536>::with_keep(40, 16).unwrap();
        let mut pages = get_all(&region, 18);
        // The last two are past the limit; both are neighbours.
        let last = pages.split_off(16);
        let start = addr(&region, last[0]);
        // SAFETY: the range is mapped, and locking it changes nothing but where it may reside.
        if unsafe { libc::mlock(start.as_ptr().cast(), 4096) } != 0 {
            // The process may lock nothing.
            pages.into_iter().chain(last).for_each(|page| put(&region, page));
            return;
        }
        pages.into_iter().chain(last).for_each(|page| put(&region, page));
        assert_eq!((region.pages_out(), region.pages_warm()), (0, 17));
    }
}

/// Formatting a region is no obstacle to whoever it is written to.
#[test]
fn the_writer_may_use_the_region() {
    struct Writer(Region<4096>);
    impl Write for Writer {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            assert_eq!(self.0.pages_out(), 0);
            Ok(())
        }
    }
    let region = Region::new(1).unwrap();
    write!(Writer(region.clone()), "{region:?}").unwrap();
}

/// Threads that put pages back at the same time leave no more of them warm than one would.
#[cfg(target_os = "linux")]
#[test]
fn a_crowd_gives_memory_back_as_one_does() {
    const KEEP: usize = 64;
    let region = Region::<4096>::with_keep(16_384, KEEP).unwrap();
    // They need not meet each time.
    for _ in 0..20 {
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let pages: Vec<_> = (0..4096).map(|_| region.get().unwrap()).collect();
                    start.wait();
                    for page in pages {
                        // SAFETY: the page is from this region and is put back once.
                        unsafe { region.put(page) };
                    }
                });
            }
        });
        assert_eq!(region.pages_out(), 0);
        // Less than a call's worth is left.
        assert!(region.pages_warm() < KEEP + KEEP / 8, "{} are warm", region.pages_warm());
    }
}

/// Pages past the limit give their memory back also where some are always taken before a call's worth has come
/// back.
#[cfg(target_os = "linux")]
#[test]
fn memory_returns_between_gets() {
    const KEEP: usize = 64;
    let region = Region::<4096>::with_keep(1024, KEEP).unwrap();
    let mut out = get_all(&region, 1000);
    while out.len() > 100 {
        out.drain(..KEEP / 8 - 1).for_each(|page| put(&region, page));
        assert!(region.pages_warm() < KEEP + 2 * (KEEP / 8), "{} are warm", region.pages_warm());
        out.push(region.get().unwrap());
    }
    out.drain(..).for_each(|page| put(&region, page));
    assert!(region.pages_warm() < KEEP + KEEP / 8, "{} are warm", region.pages_warm());
}

/// Pages are scarce no longer than until the first one too many is back.
#[test]
fn scarcity_ends_with_a_put() {
    let region = Region::<4096>::new(160).unwrap();
    let mut out = get_all(&region, 150);
    assert!(!region.is_scarce());
    out.push(region.get().unwrap());
    assert!(region.is_scarce());
    put(&region, out.pop().unwrap());
    assert!(!region.is_scarce());
    out.drain(..).for_each(|page| put(&region, page));
}

/// Pages on huge pages are as all others; the system is asked for these, for descriptors too, and gets no memory back.
#[cfg(target_os = "linux")]
#[test]
fn huge_pages_are_asked_for() {
    const PAGES: usize = 1000;
    let region = Region::<4096>::huge(PAGES).unwrap();
    assert_eq!(region.capacity(), PAGES);
    for _ in 0..2 {
        let pages = get_all(&region, PAGES);
        assert_eq!(region.get(), Err(AllocError));
        let first = pages.iter().map(|page| addr(&region, *page)).min().unwrap();
        assert_eq!(first.addr().get() % (2 << 20), 0);
        for (page, byte) in pages.iter().zip((0..=u8::MAX).cycle()) {
            fill(&region, *page, byte);
        }
        for (page, byte) in pages.iter().zip((0..=u8::MAX).cycle()) {
            assert!(filled(&region, *page, byte));
            assert_eq!(region.desc(addr(&region, *page)), Some(*page));
        }
        for of in [first.addr().get(), pages[0].addr().get()] {
            assert!(flags_of_mapping(of).contains(" hg"), "it is not advised");
        }
        pages.into_iter().for_each(|page| put(&region, page));
        assert_eq!(region.pages_warm(), PAGES);
    }
    assert_eq!(Region::<4096>::huge(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Region::<4096>::huge(usize::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// What the system says of the mapping in which an address lies.
#[cfg(target_os = "linux")]
fn flags_of_mapping(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = range.map(|(from, to)| [from, to].map(|end| usize::from_str_radix(end, 16)));
        if let Some([Ok(from), Ok(to)]) = bounds {
            inside = (from..to).contains(&address);
        } else if inside && line.starts_with("VmFlags:") {
            return line.to_owned();
        }
    }
    panic!("{address:#x} is in no mapping");
}
