//! A program with many threads on the heap.

use std::{
    cell::RefCell,
    ptr::NonNull,
    sync::{Barrier, Mutex, mpsc},
    thread::{self, ScopedJoinHandle},
};

use ptfrag::{Domain, Region};
use ptfrag_client_global_alloc::Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Held by a test that looks at all pages of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// A block of the class, stamped all over.
fn stamped(stamp: u64) -> Box<[u64; 30]> {
    Box::new([stamp; 30])
}

fn has<T: ?Sized>(value: &T) -> bool {
    Heap::has(NonNull::from(value).cast())
}

/// Waits for threads, and for what they do when they end; the end of a scope does not.
fn end(threads: Vec<ScopedJoinHandle<'_, ()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Pages that a test may leave: each block in the handles of its own thread, and of the program's first, may keep one.
const FEW: usize = 2 * Heap::HOLDS + 64;

#[test]
fn one_class_is_fragments() {
    let _alone = ALONE.lock();
    for (size, fragment) in [(1, false), (128, false), (129, true), (256, true), (257, false)] {
        let block = vec![1_u8; size].into_boxed_slice();
        assert_eq!(has(&*block), fragment, "{size}");
        assert!(block.iter().all(|byte| *byte == 1));
        let zeroed = vec![0_u8; size].into_boxed_slice();
        assert_eq!(has(&*zeroed), fragment, "{size}");
        assert!(zeroed.iter().all(|byte| *byte == 0), "{size}");
    }
    #[repr(align(256))]
    struct Aligned(#[expect(dead_code, reason = "it is there for its size")] u8);
    #[repr(align(512))]
    struct Far(#[expect(dead_code, reason = "it is there for its size")] u8);
    let (aligned, far) = (Box::new(Aligned(0)), Box::new(Far(0)));
    assert_eq!((has(&*aligned), has(&*far)), (true, false));
    assert_eq!(NonNull::from(&*aligned).addr().get() % 256, 0);
    assert_eq!(NonNull::from(&*far).addr().get() % 512, 0);
}

/// A vector grows into the class, within it and out of it, and shrinks again, with what is in it.
#[test]
fn blocks_move_with_what_is_in_them() {
    let _alone = ALONE.lock();
    let mut bytes = Vec::new();
    for byte in 0..100_000_u32 {
        bytes.push(byte as u8);
    }
    for len in [1000, 256, 255, 129, 128, 1] {
        bytes.truncate(len);
        bytes.shrink_to_fit();
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8), "{len}");
    }
    let mut within = Vec::<u8>::with_capacity(130);
    within.extend(0..130);
    let before = within.as_ptr();
    within.reserve_exact(100);
    assert_eq!(within.as_ptr(), before, "there is room in the block");
    assert!(within.iter().copied().eq(0..130));
}

/// What some threads allocate others free, and nothing is handed out twice.
#[test]
fn threads_give_each_other_blocks() {
    let _alone = ALONE.lock();
    const THREADS: u64 = 8;
    const BLOCKS: u64 = 100_000;
    thread::scope(|scope| {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::sync_channel::<Box<[u64; 30]>>(100)).unzip();
        let threads = receivers.into_iter().enumerate().map(|(number, receiver)| {
            let sender = senders[(number + 1) % THREADS as usize].clone();
            scope.spawn(move || {
                for block in 0..BLOCKS {
                    let stamp = number as u64 * BLOCKS + block;
                    if sender.try_send(stamped(stamp)).is_err() {
                        thread::yield_now();
                    }
                    for got in receiver.try_iter().take(2) {
                        assert!(has(&*got));
                        assert!(got.iter().all(|word| *word == got[0]));
                    }
                }
            })
        });
        end(threads.collect());
    });
    assert!(Heap::pages() <= FEW, "{}", Heap::pages());
}

/// Threads that come and go leave nothing, neither do destructors that run when their locals are gone.
#[test]
fn threads_come_and_go() {
    thread_local! {
        static LATE: RefCell<Late> = const { RefCell::new(Late(None)) };
    }
    struct Late(Option<Box<[u64; 30]>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let last = stamped(2);
            assert_eq!(self.0.take().map(|block| block[29]), Some(1));
            assert_eq!(last[29], 2);
        }
    }
    let _alone = ALONE.lock();
    for round in 0..2000 {
        let thread = thread::spawn(move || {
            // Its destructor runs after the handle's in every second thread.
            let early = round % 2 == 0;
            let first = early.then(|| stamped(0));
            LATE.with_borrow_mut(|late| late.0 = Some(stamped(1)));
            first.map_or(0, |first| first[0])
        });
        assert_eq!(thread.join().unwrap(), 0);
    }
    assert!(Heap::pages() <= FEW, "{}", Heap::pages());
}

/// A domain, and a pool whose values have blocks of the heap, work on top of it: also a thread's first section, and
/// callbacks that free.
#[test]
fn a_domain_stands_on_it() {
    type Names = ptfrag::pool_of!(Box<[u64; 30]>);
    let _alone = ALONE.lock();
    // Room for all, since a thread may be stopped in a section for as long as the others take.
    let names = Names::new(Domain::global(), Region::new(10_000).unwrap());
    let link = names.link();
    let begin = Barrier::new(4);
    thread::scope(|scope| {
        let threads = (0..4).map(|number| {
            let (names, link, begin) = (&names, &link, &begin);
            scope.spawn(move || {
                begin.wait();
                for round in 0..20_000 {
                    let guard = Domain::global().read();
                    if let Some(seen) = link.load(&guard) {
                        assert!(seen.iter().all(|word| *word == seen[0]));
                    }
                    drop(guard);
                    link.publish(names.alloc(stamped(number * 20_000 + round)).unwrap());
                }
            })
        });
        end(threads.collect());
    });
    link.clear();
    drop(link);
    Domain::global().barrier();
    assert!(Heap::pages() <= FEW, "{}", Heap::pages());
}

/// A hundred times as many blocks at a time, and all their pages come back.
#[test]
fn memory_comes_back() {
    let _alone = ALONE.lock();
    for count in [10_000, 1_000_000] {
        let blocks: Vec<_> = (0..count).map(stamped).collect();
        assert!(Heap::pages() as u64 >= count / 16);
        assert!(blocks.iter().zip(0..).all(|(block, stamp)| block[29] == stamp));
        drop(blocks);
        assert!(Heap::pages() <= FEW, "{}", Heap::pages());
    }
}
