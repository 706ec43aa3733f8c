//! Work that a panic of a user's hook must not cut short.

use core::mem;

/// Does `work`, and when a hook panics in it, once more while the panic unwinds: it goes on where it was. A second
/// panic ends the process.
pub(crate) fn insist<T: ?Sized>(value: &mut T, work: fn(&mut T)) {
    struct Again<'v, T: ?Sized>(&'v mut T, fn(&mut T));

    impl<T: ?Sized> Drop for Again<'_, T> {
        fn drop(&mut self) {
            self.1(self.0);
        }
    }

    let again = Again(value, work);
    work(again.0);
    mem::forget(again);
}
