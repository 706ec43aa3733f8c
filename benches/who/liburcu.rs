//! malloc and liburcu's `call_rcu`, memb flavour.
//!
//! Its callbacks run on a thread of the library's own, which nobody else has.

use std::{collections::HashSet, ffi::c_void, marker::PhantomData, mem::MaybeUninit};

use super::boxed::Payload;
use crate::allocator::{Allocator, Block, Handle, Holding, Setup};

/// The library's `struct rcu_head`: a link and the callback.
type RcuHead = MaybeUninit<[*mut c_void; 2]>;

unsafe extern "C" {
    fn urcu_memb_register_thread();
    fn urcu_memb_unregister_thread();
    fn urcu_memb_read_lock();
    fn urcu_memb_read_unlock();
    fn urcu_memb_call_rcu(head: *mut RcuHead, func: unsafe extern "C" fn(*mut RcuHead));
    fn urcu_memb_barrier();
}

/// The process's one RCU of this flavour.
#[derive(Debug)]
pub struct Liburcu<const SIZE: usize, const COUNT: bool>;

impl<const SIZE: usize, const COUNT: bool> Allocator for Liburcu<SIZE, COUNT> {
    type Block = Node<SIZE, COUNT>;
    type Handle<'a> = LiburcuHandle<SIZE, COUNT>;

    const PAGE: usize = 0;

    fn new(_: Setup) -> Self {
        Self
    }

    fn handle(&self, _: usize) -> Self::Handle<'_> {
        // SAFETY: unregistered when the handle is dropped, on the same thread.
        unsafe { urcu_memb_register_thread() };
        LiburcuHandle(PhantomData)
    }

    fn quiesce(self) {
        // SAFETY: outside of sections.
        unsafe { urcu_memb_barrier() };
    }

    fn holding(&self) -> Holding {
        Payload::<SIZE, COUNT>::holding()
    }

    fn in_flight(&self, held: usize, _: &HashSet<usize>) -> usize {
        Payload::<SIZE, COUNT>::waiting(held)
    }
}

#[repr(C)]
struct Inner<const SIZE: usize, const COUNT: bool> {
    head: RcuHead,
    payload: Payload<SIZE, COUNT>,
}

/// A block and, before it, what it needs to wait.
pub struct Node<const SIZE: usize, const COUNT: bool>(Box<Inner<SIZE, COUNT>>);

impl<const SIZE: usize, const COUNT: bool> std::fmt::Debug for Node<SIZE, COUNT> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

// SAFETY: the head means nothing before the node is retired.
unsafe impl<const SIZE: usize, const COUNT: bool> Send for Node<SIZE, COUNT> {}

impl<const SIZE: usize, const COUNT: bool> Block for Node<SIZE, COUNT> {
    #[inline(always)]
    fn addr(&mut self) -> *mut u8 {
        (&raw mut self.0.payload).cast()
    }
}

unsafe extern "C" fn free<const SIZE: usize, const COUNT: bool>(head: *mut RcuHead) {
    // SAFETY: the head is the first field of what was a box.
    drop(unsafe { Box::from_raw(head.cast::<Inner<SIZE, COUNT>>()) });
}

/// A registered thread.
#[derive(Debug)]
pub struct LiburcuHandle<const SIZE: usize, const COUNT: bool>(PhantomData<*mut ()>);

struct Section;

impl Section {
    #[inline]
    fn enter() -> Self {
        // SAFETY: only registered threads come here.
        unsafe { urcu_memb_read_lock() };
        Self
    }
}

impl Drop for Section {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this thread entered it.
        unsafe { urcu_memb_read_unlock() };
    }
}

impl<const SIZE: usize, const COUNT: bool> Handle for LiburcuHandle<SIZE, COUNT> {
    type Block = Node<SIZE, COUNT>;

    #[inline]
    fn allocate(&mut self) -> Self::Block {
        let mut place = Box::<Inner<SIZE, COUNT>>::new_uninit();
        // SAFETY: the field lies in the place.
        let payload = unsafe { &raw mut (*place.as_mut_ptr()).payload };
        // SAFETY: the place is ours.
        unsafe { payload.write(Payload::new()) };
        // SAFETY: the head needs no initialisation.
        Node(unsafe { place.assume_init() })
    }

    #[inline]
    fn retire(&mut self, block: Self::Block) {
        let _section = Section::enter();
        let head = Box::into_raw(block.0).cast();
        // SAFETY: nobody else has the node, and `free` is sound to call with its head once.
        unsafe { urcu_memb_call_rcu(head, free::<SIZE, COUNT>) };
    }

    fn in_section<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _section = Section::enter();
        work()
    }

    fn progress(&mut self) {
        // The library's thread does it in its own time.
        std::thread::yield_now();
    }
}

impl<const SIZE: usize, const COUNT: bool> Drop for LiburcuHandle<SIZE, COUNT> {
    fn drop(&mut self) {
        // SAFETY: registered when the handle was made.
        unsafe { urcu_memb_unregister_thread() };
    }
}
