//! Which thread has a record: for operators only.

use crate::sync::{MODEL, Ordering, RealAtomicU64};

/// A thread's name and number. Whoever reads it while it changes gets something in between.
pub(super) struct Signature {
    name: [RealAtomicU64; 2],
    id: RealAtomicU64,
}

impl Signature {
    pub(super) fn none() -> Self {
        Self { name: [RealAtomicU64::new(0), RealAtomicU64::new(0)], id: RealAtomicU64::new(0) }
    }

    /// Makes it this thread's.
    pub(super) fn sign(&self) {
        if MODEL {
            return;
        }
        self.set(name(), id());
    }

    pub(super) fn clear(&self) {
        if !MODEL {
            self.set([0; 16], 0);
        }
    }

    fn set(&self, name: [u8; 16], id: u64) {
        for (word, bytes) in self.name.iter().zip(name.chunks_exact(8)) {
            let bytes = bytes.try_into().expect("eight at a time");
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
        self.id.store(id, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> ([u8; 16], u64) {
        let mut name = [0; 16];
        for (word, bytes) in self.name.iter().zip(name.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        (name, self.id.load(Ordering::Relaxed))
    }
}

/// As the system knows it: a thread that C has made may have one, and what std knows comes from the program's allocator,
/// which may be what this thread comes from.
#[cfg(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle))))]
fn name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: that is how long a name is at most, with the zero at its end.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

#[cfg(not(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle)))))]
fn name() -> [u8; 16] {
    let thread = std::thread::current();
    let mut name = [0; 16];
    let known = thread.name().unwrap_or_default().as_bytes();
    let len = known.len().min(name.len());
    name[..len].copy_from_slice(&known[..len]);
    name
}

#[cfg(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle))))]
fn id() -> u64 {
    // SAFETY: it has no conditions.
    let id = unsafe { libc::gettid() };
    id.unsigned_abs().into()
}

#[cfg(not(all(target_os = "linux", not(any(ptfrag_loom, ptfrag_shuttle)))))]
fn id() -> u64 {
    0
}
