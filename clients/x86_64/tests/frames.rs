//! The frames by themselves, and what upstream asks of them.

mod common;

use common::{OFFSET, bytes, direct, drive_home, fill, with_mm};
use ptfrag::Std;
use ptfrag_client_x86_64::{FRAGS, FRAME, Frames, PAGE, ZeroedFrames};
use x86_64::{
    PhysAddr,
    structures::paging::{
        FrameAllocator, FrameDeallocator, PhysFrame, mapper::PageTableFrameMapping,
    },
};

type Own<'m, 'd> = Frames<'m, Std<'d, PAGE, ZeroedFrames>>;

/// All frames that there are.
fn all(frames: &mut Own<'_, '_>) -> Vec<PhysFrame> {
    core::iter::from_fn(|| frames.allocate_frame()).collect()
}

fn free_all(frames: &mut Own<'_, '_>, these: Vec<PhysFrame>) {
    for frame in these {
        // SAFETY: allocated, and in nobody's tree.
        unsafe { frames.deallocate_frame(frame) };
    }
}

#[test]
fn all_of_a_page_is_handed_out_once_and_zero() {
    with_mm(3, |domain, mm| {
        let mut frames = Frames::new(mm, direct());
        for round in 0..3 {
            let these = all(&mut frames);
            assert_eq!(these.len(), 3 * FRAGS);
            assert_eq!(mm.pages(), 3);
            for (nth, frame) in these.iter().enumerate() {
                // SAFETY: the frame is ours.
                assert_eq!(unsafe { bytes(*frame) }, [0; FRAME], "round {round}, frame {nth}");
                // SAFETY: as above.
                unsafe { fill(*frame, nth as u8 + 1) };
            }
            // What was written into one is in no other.
            for (nth, frame) in these.iter().enumerate() {
                // SAFETY: as above.
                assert_eq!(unsafe { bytes(*frame) }, [nth as u8 + 1; FRAME]);
            }
            free_all(&mut frames, these);
            drive_home(domain, mm);
        }
    });
}

#[test]
fn physical_addresses_are_at_the_offset() {
    with_mm(1, |_, mm| {
        let mut frames = Frames::new(mm, direct());
        let frame = frames.allocate_frame().expect("a page");
        let at = direct().frame_to_pointer(frame);
        assert_eq!(at.addr() as u64, frame.start_address().as_u64() + OFFSET);
        // The mm knows the page in which it lies, and no other fragment of it is used.
        let word = mm.page_word(core::ptr::NonNull::new(at.cast()).expect("not null"));
        assert_eq!(word.expect("a page of the source").used().len(), 1);
        // SAFETY: allocated, and in nobody's tree.
        unsafe { frames.deallocate_frame(frame) };
    });
}

#[test]
fn a_freed_frame_waits_for_the_guards() {
    with_mm(1, |domain, mm| {
        let mut frames = Frames::new(mm, direct());
        let mut these = all(&mut frames);
        assert_eq!(these.len(), FRAGS);
        let freed = these.swap_remove(5);
        // SAFETY: the frame is ours.
        unsafe { fill(freed, 0xa5) };
        let guard = domain.read();
        // SAFETY: allocated, and in nobody's tree.
        unsafe { frames.deallocate_frame(freed) };
        for _ in 0..100 {
            domain.poll();
            assert_eq!(frames.allocate_frame(), None);
        }
        // SAFETY: it is retired, and waits for the guard.
        assert_eq!(unsafe { bytes(freed) }, [0xa5; FRAME]);
        drop(guard);

        let again = (0..100).find_map(|_| {
            domain.barrier();
            frames.allocate_frame()
        });
        assert_eq!(again, Some(freed));
        // SAFETY: the frame is ours.
        assert_eq!(unsafe { bytes(freed) }, [0; FRAME]);
        these.push(freed);
        free_all(&mut frames, these);
    });
}

#[test]
fn any_thread_frees() {
    with_mm(4, |_, mm| {
        let these = all(&mut Frames::new(mm, direct()));
        std::thread::scope(|scope| {
            for some in these.chunks(7) {
                scope.spawn(|| free_all(&mut Frames::new(mm, direct()), some.to_vec()));
            }
        });
    });
}

#[test]
#[should_panic(expected = "double free")]
fn a_second_free_is_a_panic() {
    with_mm(1, |_, mm| {
        let mut frames = Frames::new(mm, direct());
        let frame = frames.allocate_frame().expect("a page");
        free_all(&mut frames, vec![frame, frame]);
    });
}

#[test]
#[should_panic(expected = "foreign pointer")]
fn a_frame_from_elsewhere_is_a_panic() {
    with_mm(1, |_, mm| {
        let elsewhere = PhysFrame::containing_address(PhysAddr::new(0x5000));
        free_all(&mut Frames::new(mm, direct()), vec![elsewhere]);
    });
}
