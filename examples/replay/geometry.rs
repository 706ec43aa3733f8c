//! From the numbers on the command line to the crate's const generics.

/// Fragments per page and bytes per fragment, of the ones that are compiled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) frags: usize,
    pub(crate) size: usize,
}

impl Geometry {
    pub(crate) fn new(frags: usize, size: usize) -> Result<Self, String> {
        if matches!(frags, 2 | 4 | 8 | 16)
            && size.is_power_of_two()
            && (256..=16384).contains(&size)
        {
            Ok(Self { frags, size })
        } else {
            Err(format!(
                "{frags} fragments of {size} bytes: --frags must be 2, 4, 8 or 16, and --frag-size \
                 256, 512, 1024, 2048, 4096, 8192 or 16384"
            ))
        }
    }

    pub(crate) fn page(self) -> usize {
        self.frags * self.size
    }
}

/// Calls `$f::<FRAGS, SIZE, PAGE>(args)` for a [`Geometry`] that is known only at run time.
///
/// The page's size is a parameter of its own because a product of const parameters cannot be one
/// on stable Rust.
macro_rules! dispatch {
    ($geometry:expr, $f:ident $args:tt) => {
        $crate::geometry::dispatch!(@frags $geometry, $f $args, [2, 4, 8, 16])
    };
    (@frags $geometry:expr, $f:ident $args:tt, [$($frags:literal),*]) => {
        match $geometry.frags {
            $($frags => $crate::geometry::dispatch!(
                @size $frags, $geometry, $f $args, [256, 512, 1024, 2048, 4096, 8192, 16384]
            ),)*
            _ => unreachable!("Geometry::new lets nothing else pass"),
        }
    };
    (@size $frags:literal, $geometry:expr, $f:ident $args:tt, [$($size:literal),*]) => {
        match $geometry.size {
            $($size => $f::<$frags, $size, { $frags * $size }> $args,)*
            _ => unreachable!("Geometry::new lets nothing else pass"),
        }
    };
}
pub(crate) use dispatch;
