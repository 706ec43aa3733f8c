//! The partial list: the pages of one mm that have something free.
//!
//! A page's list node lies in its *host*, a free fragment: the first two words of memory that
//! nobody uses until the host is taken, which unlinks the page. A node points to the neighbours'
//! nodes, not to their descriptors, so a link that somebody overwrote (a use after free) is found
//! by asking the source whether it leads to the host of a listed page, before it is followed.
//!
//! Only the pointer to the first page is read without the mm's lock.

use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{self, NonNull},
};

use crate::{
    embed::PageSource,
    page::{PageDesc, word::Word},
    sync::{AtomicPtr, Ordering, UnsafeCell},
};

/// `[previous, next]`: the hosts of the neighbours, at the ends the address of the list. Null is
/// neither: zeros, the likeliest thing to be written over a node, are no link.
type Node = [*mut u8; 2];
/// Where a node is, or something else was that may have left bytes that are not initialised.
type Place = UnsafeCell<MaybeUninit<Node>>;
const PREV: usize = 0;
const NEXT: usize = 1;

/// A page that is to be unlinked and its neighbours do not point at each other: one of their nodes
/// was overwritten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadLink;

/// A doubly linked list of pages, changed under its mm's lock.
///
/// # Invariants
/// Under the lock: a page is on the list exactly when its word says LISTED, `first` is null or
/// points to the first of them, and the nodes in the hosts link them both ways. `walk` is a page of the
/// list, too: when that leaves, it is the one behind it.
pub(crate) struct PartialList<const N: usize, S> {
    first: AtomicPtr<PageDesc>,
    /// The page at which a walk along the list goes on. Guarded by the lock, as the nodes are.
    walk: UnsafeCell<Option<NonNull<PageDesc>>>,
    source: PhantomData<fn(&S)>,
}

impl<const N: usize, S: PageSource> PartialList<N, S> {
    pub(crate) fn new() -> Self {
        Self {
            first: AtomicPtr::new(ptr::null_mut()),
            walk: UnsafeCell::new(None),
            source: PhantomData,
        }
    }

    /// The first page. Without the lock it may have left the list by the time it is used; it stays
    /// a descriptor of this mm's page for the read-side section in which it was looked up.
    #[inline]
    pub(crate) fn first(&self) -> Option<NonNull<PageDesc>> {
        // Acquire pairs with the Release in `push`: whoever finds a page here sees its descriptor
        // and its first word.
        NonNull::new(self.first.load(Ordering::Acquire))
    }

    /// What stands in a node for no neighbour. The list is in use, so it does not move any more.
    fn end(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The host that a link leads to, if it is not the end.
    fn neighbour(&self, link: *mut u8) -> Result<Option<NonNull<u8>>, BadLink> {
        if link == self.end() { Ok(None) } else { NonNull::new(link).map(Some).ok_or(BadLink) }
    }

    /// Puts a page in front. `word` is the page's, LISTED.
    ///
    /// # Safety
    /// The caller holds the lock and has just installed `word`; the page was not on the list.
    pub(crate) unsafe fn push(&self, source: &S, page: NonNull<PageDesc>, word: Word<N>) {
        // SAFETY: the page belongs to this source, and LISTED words name a host.
        let host = unsafe { host_of(source, page, word) };
        // Relaxed: `first`, and LISTED and HOST of a page that is on the list, change only under the
        // lock, which the caller holds.
        let second = NonNull::new(self.first.load(Ordering::Relaxed)).map(|second| {
            // SAFETY: descriptors are type-stable.
            let word = unsafe { second.as_ref() }.word.load(Ordering::Relaxed);
            // SAFETY: the first page of the list is listed, so its word names its host.
            unsafe { host_of::<N, S>(source, second, Word::from_bits(word)) }
        });
        let next = second.map_or(self.end(), NonNull::as_ptr);
        // SAFETY: the host is free memory of ours under the lock.
        unsafe { write(host, [self.end(), next]) };
        if let Some(second) = second {
            // SAFETY: likewise the host of a listed page.
            unsafe { set_link(second, PREV, host.as_ptr()) };
        }
        self.first.store(page.as_ptr(), Ordering::Release);
    }

    /// Checks that the neighbours of a listed page, whose word is `word`, point back at it.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is on the list.
    pub(crate) unsafe fn check(
        &self,
        source: &S,
        page: NonNull<PageDesc>,
        word: Word<N>,
    ) -> Result<(), BadLink> {
        // SAFETY: the page is listed.
        let host = unsafe { host_of(source, page, word) };
        // SAFETY: the node of a listed page is read under the lock.
        let [prev, next] = unsafe { read(host) };
        // SAFETY: descriptors are type-stable.
        let owner = unsafe { page.as_ref() }.look_at_mm();
        let points_back = |link: *mut u8, back: usize| -> Result<bool, BadLink> {
            let Some(link) = self.neighbour(link)? else { return Ok(false) };
            let page = source.desc(link).ok_or(BadLink)?;
            // SAFETY: a source's descriptors may be looked at whenever it lives.
            let desc = unsafe { page.as_ref() };
            // LISTED, HOST and what list it is on change of our own pages only under the lock. An overwritten link
            // can lead to a page of another mm, which may have more fragments, or of another lane, and has its nodes
            // under another lock. Acquire pairs with the Release of the change that listed it, so that its owner is
            // seen with it.
            let other = Word::<N>::from_bits(desc.word.load(Ordering::Acquire));
            let is_here = other.lane() == word.lane() && other.is_shown() == word.is_shown();
            if desc.look_at_mm() != owner || !is_here {
                return Err(BadLink);
            }
            // Pages are aligned to their size.
            let inside = link.addr().get() % S::PAGE_SIZE;
            let is_host = other.host().is_some_and(|host| inside == host * (S::PAGE_SIZE / N));
            // SAFETY: evaluated only when `link` is the host of a page that this mm lists.
            if is_host && unsafe { read(link) }[back] == host.as_ptr() {
                Ok(true)
            } else {
                Err(BadLink)
            }
        };
        points_back(next, PREV)?;
        if !points_back(prev, NEXT)? && self.first.load(Ordering::Relaxed) != page.as_ptr() {
            return Err(BadLink);
        }
        Ok(())
    }

    /// The page behind a listed one, whose word is `word`.
    ///
    /// # Safety
    /// The caller holds the lock, and [`check`](Self::check) succeeded in this lock hold.
    pub(crate) unsafe fn after(
        &self,
        source: &S,
        page: NonNull<PageDesc>,
        word: Word<N>,
    ) -> Option<NonNull<PageDesc>> {
        // SAFETY: the page is listed.
        let host = unsafe { host_of(source, page, word) };
        // SAFETY: the node of a listed page is read under the lock.
        let next = unsafe { read(host) }[NEXT];
        self.page_at(source, next)
    }

    /// The page at which the walk goes on, which may have begun in an earlier hold of the lock.
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(crate) unsafe fn walk(&self) -> Option<NonNull<PageDesc>> {
        // SAFETY: written only under the lock.
        self.walk.with(|walk| unsafe { *walk })
    }

    /// Has the walk go on at this page.
    ///
    /// # Safety
    /// The caller holds the lock, and the page is on the list.
    pub(crate) unsafe fn walk_to(&self, page: Option<NonNull<PageDesc>>) {
        // SAFETY: read and written only under the lock.
        self.walk.with_mut(|walk| unsafe { *walk = page });
    }

    /// The page whose host a checked link leads to.
    fn page_at(&self, source: &S, link: *mut u8) -> Option<NonNull<PageDesc>> {
        self.neighbour(link).ok().flatten().and_then(|host| source.desc(host))
    }

    /// Takes a page off the list and wipes its node, which becomes `empty`. `word` is the listed word
    /// that the page has or, if it was just changed, had.
    ///
    /// # Safety
    /// The caller holds the lock, [`check`](Self::check) succeeded in this lock hold, and nobody
    /// else has got the host since.
    pub(crate) unsafe fn unlink(
        &self,
        source: &S,
        page: NonNull<PageDesc>,
        word: Word<N>,
        empty: [usize; 2],
    ) {
        // SAFETY: the word names the host.
        let host = unsafe { host_of(source, page, word) };
        // SAFETY: the node is still ours.
        let [prev, next] = unsafe { read(host) };
        // SAFETY: under the lock.
        if unsafe { self.walk() } == Some(page) {
            // SAFETY: as above, and the page behind a listed one is listed.
            unsafe { self.walk_to(self.page_at(source, next)) };
        }
        if let Ok(Some(next)) = self.neighbour(next) {
            // SAFETY: `check` found the host of a listed page there.
            unsafe { set_link(next, PREV, prev) };
        }
        match self.neighbour(prev) {
            // SAFETY: as for `next`.
            Ok(Some(prev)) => unsafe { set_link(prev, NEXT, next) },
            _ => {
                let second = self.page_at(source, next).map_or(ptr::null_mut(), NonNull::as_ptr);
                // Release, for the same reason as in `push`.
                self.first.store(second, Ordering::Release);
            }
        }
        // SAFETY: the node leaves the fragment with nothing of ours in it.
        unsafe { write(host, empty.map(ptr::without_provenance_mut)) };
    }
}

/// The address of the host that a listed word names.
///
/// # Safety
/// `page` is a page of `source` with the listed word `word`.
unsafe fn host_of<const N: usize, S: PageSource>(
    source: &S,
    page: NonNull<PageDesc>,
    word: Word<N>,
) -> NonNull<u8> {
    // SAFETY: passed on to the caller.
    let addr = unsafe { source.addr(page) };
    let offset = word.host().unwrap_or(0) * (S::PAGE_SIZE / N);
    // SAFETY: HOST is below `N`, so the offset lies in the page.
    unsafe { addr.add(offset) }
}

/// Reads a node.
///
/// # Safety
/// `host` is the host of a listed page, and the caller holds the lock; or the fragment is the caller's.
pub(super) unsafe fn read(host: NonNull<u8>) -> Node {
    // SAFETY: a fragment has room for a node and its alignment.
    let node = unsafe { host.cast::<Place>().as_ref() };
    // SAFETY: nobody else writes it.
    node.with(|node| unsafe { node.cast::<Node>().read() })
}

/// Writes a node.
///
/// # Safety
/// As for [`read`]; or the host was listed in this lock hold.
pub(super) unsafe fn write(host: NonNull<u8>, value: Node) {
    // SAFETY: a fragment has room for a node and its alignment.
    let node = unsafe { host.cast::<Place>().as_ref() };
    // SAFETY: nobody else reads or writes it.
    node.with_mut(|node| unsafe { node.cast::<Node>().write(value) });
}

/// Writes one link of a node.
///
/// # Safety
/// As for [`read`].
unsafe fn set_link(host: NonNull<u8>, which: usize, link: *mut u8) {
    // SAFETY: passed on to the caller.
    let mut node = unsafe { read(host) };
    node[which] = link;
    // SAFETY: passed on to the caller.
    unsafe { write(host, node) };
}
