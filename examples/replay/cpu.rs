//! What a CPU has of this crate: a handle of the mm that it allocates for.

use ptfrag::{Embed, Local};

/// A CPU, with its handle of the mm that it allocated for last.
///
/// A kernel would keep it where it keeps the mm that a CPU runs, and turn it as that changes. A
/// trace does not tell that; the next allocation for another mm does.
pub(crate) struct Cpu<const FRAGS: usize, const SIZE: usize, E: Embed>(
    Option<(usize, Local<FRAGS, SIZE, E>)>,
);

impl<const FRAGS: usize, const SIZE: usize, E: Embed> Cpu<FRAGS, SIZE, E> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// The handle of this mm. If the CPU has none it gives back what it holds of the mm before, and
    /// calls `open`.
    pub(crate) fn turn_to(
        &mut self,
        mm: usize,
        open: impl FnOnce() -> Local<FRAGS, SIZE, E>,
    ) -> &mut Local<FRAGS, SIZE, E> {
        self.leave(|of| of != mm);
        &mut self.0.get_or_insert_with(|| (mm, open())).1
    }

    /// The handle to free with. It frees what is another mm's as if it were not there.
    pub(crate) fn handle(&mut self) -> Option<&mut Local<FRAGS, SIZE, E>> {
        self.0.as_mut().map(|(_, local)| local)
    }

    /// Gives back what the CPU holds of an mm, if it is one that is `gone`.
    pub(crate) fn leave(&mut self, gone: impl FnOnce(usize) -> bool) {
        if self.0.as_ref().is_some_and(|&(of, _)| gone(of)) {
            self.0 = None;
        }
    }
}
