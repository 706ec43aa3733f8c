//! What a call costs a thread that the domain does not know.
#![cfg(all(target_os = "linux", target_env = "gnu", feature = "std"))]

use std::thread;

use ptfrag::{Frag, Mm, OwnedDomain, Region};

/// Bytes that are out, also those that the C library has taken for itself.
fn bytes_out() -> usize {
    // SAFETY: it only looks.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Freeing allocates nothing, not even a place in the list of what is to be done when the thread
/// ends. (One test, since others would allocate meanwhile.)
#[test]
fn a_thread_that_never_came_near_retires_without_allocating() {
    let domain: &'static _ = Box::leak(Box::new(OwnedDomain::new()));
    let mm = Mm::<2, 2048, _>::new(domain, Region::<4096>::new(8).unwrap());
    let frags = [(); 3].map(|()| mm.alloc().unwrap());
    thread::spawn(move || {
        let before = bytes_out();
        frags.into_iter().for_each(Frag::retire);
        assert_eq!(bytes_out(), before);
    })
    .join()
    .unwrap();
    domain.barrier();
}
