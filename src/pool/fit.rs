//! The geometry that fits a type.

/// Bytes of the smallest fragment in which a `T` fits.
#[must_use]
pub const fn fit<T>() -> usize {
    let node = 2 * size_of::<usize>();
    let most = if size_of::<T>() > align_of::<T>() { size_of::<T>() } else { align_of::<T>() };
    if most > node { most.next_power_of_two() } else { node }
}

/// The [`Pool`](crate::Pool) for a type, with the built-in parts: 16 fragments to a page, each just large enough.
///
/// The type has no parameters that are not known where it is named, and is not one whose size depends on this: a generic
/// type's pool, and that of a type with links of it, names its geometry.
///
/// ```
/// # use ptfrag::{Domain, Region};
/// type Numbers = ptfrag::pool_of!([u64; 5]); // fragments of 64 bytes, pages of 1024
/// let numbers = Numbers::new(Domain::global(), Region::new(10)?);
/// let five = numbers.alloc([1, 2, 3, 4, 5])?;
/// assert_eq!(five.iter().sum::<u64>(), 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(all(unix, feature = "std"))]
#[macro_export]
macro_rules! pool_of {
    ($type:ty) => {
        $crate::Pool<
            $type,
            16,
            { $crate::fit::<$type>() },
            $crate::Std<'static, { 16 * $crate::fit::<$type>() }, $crate::Drops<$type>>,
        >
    };
}
