//! Memory for the tests, and what is left of it.

use std::{
    alloc::{Layout, alloc},
    ptr::NonNull,
};

use buddy_system_allocator::LockedFrameAllocator;
use ptfrag::PageDesc;
use ptfrag_client_buddy_system_allocator::FramePages;

/// So many bytes for ever, aligned to 64 KiB, and not as zero as they might be by chance.
pub fn memory(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, 65536).expect("tests are small");
    // SAFETY: it has a size.
    let memory = NonNull::new(unsafe { alloc(layout) }).expect("memory");
    // SAFETY: allocated just now.
    unsafe { memory.write_bytes(0xa5, bytes) };
    memory
}

pub fn descs(count: usize) -> &'static mut [PageDesc] {
    Box::leak((0..count).map(|_| PageDesc::new()).collect())
}

/// Adds frames to an empty frame allocator, and has a source over it; and where the first frame is.
pub fn source<const FRAME: usize, const PAGE: usize>(
    frames: &'static LockedFrameAllocator,
    first: usize,
    count: usize,
) -> (FramePages<FRAME, PAGE>, NonNull<u8>) {
    let missing = first % (PAGE / FRAME) * FRAME;
    let memory = memory(missing + count * FRAME);
    // SAFETY: so much is in front of the first frame.
    let memory = unsafe { memory.add(missing) };
    frames.lock().add_frame(first, first + count);
    let descs = descs(count * FRAME / PAGE + 1);
    // SAFETY: these are all frames, and tests give back what they have.
    (unsafe { FramePages::new(frames, memory, first, count, descs) }, memory)
}

/// How many frames there are. They are gone then.
pub fn frames_left(frames: &LockedFrameAllocator) -> usize {
    std::iter::from_fn(|| frames.lock().alloc(1)).count()
}
