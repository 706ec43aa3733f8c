//! Cells that tell loom when memory which it cannot see is used and freed.

use loom::cell::UnsafeCell;

/// Stands for the memory of the thing that it is a field of: using that reads the shadow, dropping
/// it writes. A use that is not ordered before the drop is then a race, and a use after it is found
/// on the spot.
pub struct Shadow {
    alive: UnsafeCell<bool>,
}

// SAFETY: loom watches the cell.
unsafe impl Send for Shadow {}
// SAFETY: as above.
unsafe impl Sync for Shadow {}

impl Shadow {
    pub fn new() -> Self {
        Self { alive: UnsafeCell::new(true) }
    }

    pub fn touch(&self) {
        // SAFETY: loom reports a concurrent write.
        let alive = self.alive.with(|alive| unsafe { *alive });
        assert!(alive, "used after it was freed");
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: loom reports a concurrent access.
            self.alive.with_mut(|alive| unsafe { *alive = false });
        }
    }
}
