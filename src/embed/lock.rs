//! The lock of an mm's lists, or with [lanes](crate::Mm::lanes) of a lane's.
//!
//! Why not `lock_api::RawMutex`: its `const INIT` cannot be had under loom, and it does not say
//! what this crate needs of `unlock` (see [`RawLock`]). Nor could an adapter over every `RawMutex`
//! be sound for that reason; whoever knows that a certain one keeps the promise implements these
//! four lines for it.

/// A mutual-exclusion lock without data.
///
/// # Safety
/// - At most one thread holds the lock; what its holder did happens before the next `lock` (or
///   successful `try_lock`) returns.
/// - **No re-entrancy**: `try_lock` fails where the same thread holds the lock already, or the same
///   processor does and was interrupted. Callbacks that come upon a holder rely on it.
/// - **`unlock` has no tail**: the step of `unlock` that lets somebody else in is its last access
///   to the lock's memory. As soon as it is done another thread may free the mm's head, the lock
///   with it. (Waking a waiter by its address, as a futex does, is fine: the address is not
///   accessed.) For the same reason all of the lock's memory is atomics and cells.
pub unsafe trait RawLock: Send + Sync {
    /// An unlocked lock.
    fn new() -> Self;

    /// Waits until the lock is free and takes it. Must not run RCU callbacks meanwhile.
    ///
    /// Nobody waits who holds another lock of the same mm. Who fetches a page over from another
    /// [lane](crate::Mm::lanes) tries a second one, and an allocation that is about to fail tries those of all lanes, in
    /// their order. They are released in the reverse order.
    ///
    /// Callbacks only ever try the lock, but for what an embedder's own code does in one: a
    /// [hook](crate::Hooks), the destructor of the hooks or of the source, or a `dispose`, that does
    /// anything with an mm or a handle but retire. Where callbacks can interrupt a holder on its own
    /// processor, an embedder with such code needs a lock that keeps them away.
    fn lock(&self);

    /// Takes the lock if it is free; returns whether it did. Never waits.
    fn try_lock(&self) -> bool;

    /// Releases the lock.
    ///
    /// # Safety
    /// The caller holds it.
    unsafe fn unlock(&self);
}
