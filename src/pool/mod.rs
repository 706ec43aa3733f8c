//! The typed face: values in the place of bytes, and their destructors after the grace period.
//!
//! It is built on what everybody can use, [`Mm`], [`Slot`](crate::Slot) and [`Local`](crate::Local), and adds the
//! types that make it safe: a value has one owner, an [`Owned`] or the [`Link`] that it is published in, so it is
//! retired once; and what a reader finds it has as long as its guard.

mod drops;
mod fit;
mod handle;
mod link;
mod owned;

use core::fmt;

pub use self::{drops::Drops, fit::fit, handle::PoolHandle, link::Link, owned::Owned};
use crate::{
    embed::{AllocError, Embed, PageSource},
    frag::Frag,
    mm::Mm,
};

/// Values of one type in fragments: allocated, published, read under a guard and replaced, without `unsafe`.
///
/// A value's destructor runs where its [`Owned`] is dropped, or if it was published, after the grace period: once,
/// unless the `Owned`, the [`Link`], a guard or a handle is leaked or lies idle, values own each other in a circle, or
/// nobody runs the domain's callbacks any more, as at the end of the process. There is no per-value head: what waits is
/// noted on the page.
///
/// After a grace period it runs in a callback, at some later time and on any thread, hence `T: Send + 'static`. It may
/// publish and clear links, of the same pool too, and must not wait for a grace period. (A list whose nodes are linked
/// that way takes itself apart, one node in a grace period; clear long ones from the end.) What it drops, allocates or
/// flushes beside may wait for an mm's lock: see [`RawLock::lock`](crate::RawLock::lock) if callbacks can interrupt
/// whoever holds one. A panic there ends the process, as every panic in a callback does.
///
/// A page that goes home is cleared first, since values may leave bytes that are not initialised: with large values a pool
/// that is emptied and filled again and again does better to [keep](Self::keeping) some.
///
/// The geometry is `FRAGS` fragments of `SIZE` bytes to a page. [`pool_of!`](crate::pool_of) names the one that fits
/// a type, with the built-in parts.
///
/// ```
/// use ptfrag::{Domain, Region};
///
/// struct Route {
///     next_hop: String,
/// }
/// type Routes = ptfrag::pool_of!(Route);
///
/// let domain = Domain::global();
/// let routes = Routes::new(domain, Region::new(100)?);
/// let current = routes.link();
/// current.publish(routes.alloc(Route { next_hop: "10.0.0.1".into() })?);
///
/// let guard = domain.read();
/// let seen = current.load(&guard).expect("published above");
/// current.publish(routes.alloc(Route { next_hop: "10.0.0.2".into() })?);
/// assert_eq!(seen.next_hop, "10.0.0.1"); // until `guard` is dropped
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What does not fit a fragment does not compile, and says so:
///
/// ```compile_fail,E0080
/// # use ptfrag::{Domain, Drops, Pool, Region, Std};
/// type Small = Pool<[u8; 300], 16, 256, Std<'static, 4096, Drops<[u8; 300]>>>;
/// let pool = Small::new(Domain::global(), Region::new(100)?);
/// # Ok::<(), std::io::Error>(())
/// ```
/// ```compile_fail,E0080
/// # use ptfrag::{Domain, Drops, Pool, Region, Std};
/// #[repr(align(512))]
/// struct Aligned(u8);
/// type Small = Pool<Aligned, 16, 256, Std<'static, 4096, Drops<Aligned>>>;
/// let pool = Small::new(Domain::global(), Region::new(100)?);
/// # Ok::<(), std::io::Error>(())
/// ```
/// ```compile_fail,E0080
/// # use ptfrag::{Domain, Drops, Pool, Region, Std};
/// type Nothing = Pool<(), 16, 256, Std<'static, 4096, Drops<()>>>;
/// let pool = Nothing::new(Domain::global(), Region::new(100)?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// (`cargo check` does not find that, `cargo build` does.) Values have to be such that any thread may drop them at any
/// time:
///
/// ```compile_fail
/// # use ptfrag::{Domain, Region};
/// type Pool = ptfrag::pool_of!(std::rc::Rc<u8>);
/// let pool = Pool::new(Domain::global(), Region::new(100)?);
/// # Ok::<(), std::io::Error>(())
/// ```
// That `T` is `Send` is asked for where a pool is made, and not here: else a value could not hold links of its pool.
pub struct Pool<T, const FRAGS: usize, const SIZE: usize, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    mm: Mm<FRAGS, SIZE, E>,
}

impl<T, const FRAGS: usize, const SIZE: usize, E> Pool<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    const FITS: () = {
        assert!(
            size_of::<T>() != 0,
            "ptfrag: values without a size need no pool: publish a flag or a number instead"
        );
        assert!(
            size_of::<T>() <= SIZE,
            "ptfrag: T is larger than a fragment: name a geometry with larger ones, or take pool_of!(T)"
        );
        assert!(
            align_of::<T>() <= SIZE,
            "ptfrag: T is aligned to more than a fragment: name a geometry with larger ones, or take pool_of!(T)"
        );
    };

    /// An empty pool of parts of one's own.
    #[must_use]
    pub fn new_in(rcu: E::Rcu, source: E::Source) -> Self
    where
        T: Send,
    {
        const { Self::FITS }
        // SAFETY: only this pool has the mm, whose fragments hold values from their retirement to their callback, and
        // values may be dropped by any thread.
        let drops = unsafe { Drops::new(E::Source::PAGE_SIZE) };
        Self { mm: Mm::new_in(rcu, source, drops) }
    }

    /// Has the pool keep up to `pages` empty pages: see [`Mm::keeping`].
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn keeping(self, pages: u32) -> Self {
        Self { mm: self.mm.keeping(pages) }
    }

    /// Gives the pool so many lanes: see [`Mm::lanes`].
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn lanes(self, count: usize) -> Self {
        Self { mm: self.mm.lanes(count) }
    }

    /// Puts a value into a fragment.
    ///
    /// # Errors
    /// [`Full`], with the value, when [`Mm::alloc`] fails.
    #[inline]
    pub fn alloc(&self, value: T) -> Result<Owned<T, FRAGS, SIZE, E>, Full<T>> {
        put(value, self.mm.alloc())
    }

    /// A place to publish values of this pool in.
    ///
    /// # Panics
    /// As [`Mm::slot`].
    #[must_use]
    pub fn link(&self) -> Link<T, FRAGS, SIZE, E> {
        Link::new(self.mm.slot())
    }

    /// A handle for one thread: allocates and retires at the cost of a few instructions.
    ///
    /// # Panics
    /// As [`Mm::local`].
    #[must_use]
    pub fn handle(&self) -> PoolHandle<T, FRAGS, SIZE, E> {
        PoolHandle::new(self.mm.local())
    }

    /// Sends the empty pages home that the pool keeps: see [`Mm::shrink`].
    pub fn shrink(&self) -> usize {
        self.mm.shrink()
    }

    /// Pages that are out of the source for this pool.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.mm.pages()
    }
}

/// Puts a value into a fragment, if there is one.
#[inline]
fn put<T, const FRAGS: usize, const SIZE: usize, E>(
    value: T,
    frag: Result<Frag<FRAGS, SIZE, E>, AllocError>,
) -> Result<Owned<T, FRAGS, SIZE, E>, Full<T>>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    match frag {
        Ok(frag) => Ok(Owned::new(frag, value)),
        Err(AllocError) => Err(Full(value)),
    }
}

impl<T, const FRAGS: usize, const SIZE: usize, E> fmt::Debug for Pool<T, FRAGS, SIZE, E>
where
    T: 'static,
    E: Embed<Hooks = Drops<T>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.mm).finish()
    }
}

/// There is no fragment for a value, which comes back.
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AllocError.fmt(f)
    }
}

impl<T> core::error::Error for Full<T> {}
