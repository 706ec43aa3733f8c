//! Parts of one's own: a page source, a lock, an RCU, hooks.
//!
//! An mm is built from four parts that [`Embed`](crate::Embed) names. Each has a trait, whose safety section is the
//! contract; this chapter shows the shortest that keep it, and what to ask oneself. With the feature `check` the module of
//! that name tries them out.
//!
//! # A page source
//! A [`PageSource`](crate::PageSource) has pages and, beside them, a descriptor for each. Here are eight pages in one
//! block; which of them are at home a list under a lock says:
//!
//! ```
//! # #[cfg(all(unix, feature = "std"))] {
//! use std::{
//!     alloc::{Layout, alloc_zeroed, handle_alloc_error},
//!     ptr::NonNull,
//!     sync::Mutex,
//! };
//!
//! use ptfrag::{AllocError, Domain, Embed, Mm, PageDesc, PageSource, SpinLock};
//!
//! const PAGE: usize = 4096;
//! const PAGES: usize = 8;
//!
//! struct Block {
//!     base: NonNull<u8>,
//!     descs: [PageDesc; PAGES],
//!     home: Mutex<Vec<usize>>,
//! }
//!
//! // SAFETY: the block is memory that nobody else knows of.
//! unsafe impl Send for Block {}
//! // SAFETY: as above; the list has a lock.
//! unsafe impl Sync for Block {}
//!
//! impl Block {
//!     fn new() -> Self {
//!         let layout = Layout::from_size_align(PAGES * PAGE, PAGE).unwrap();
//!         // SAFETY: it is not nothing that is asked for.
//!         let base = unsafe { alloc_zeroed(layout) };
//!         let base = NonNull::new(base).unwrap_or_else(|| handle_alloc_error(layout));
//!         let home = Mutex::new((0..PAGES).collect());
//!         Self { base, descs: [const { PageDesc::new() }; PAGES], home }
//!     }
//!
//!     fn number(&self, page: NonNull<PageDesc>) -> usize {
//!         (page.addr().get() - self.descs.as_ptr().addr()) / PageDesc::SIZE
//!     }
//! }
//!
//! // SAFETY: pages are aligned, since the block is, and initialised. A page is on the list or out. Descriptors stay
//! // where they are as long as the source, which nobody moves once it is leaked. The lock orders `put` before `get`,
//! // and neither waits for a grace period; `put` does not allocate, since the list has had room for all.
//! unsafe impl PageSource for Block {
//!     const PAGE_SIZE: usize = PAGE;
//!
//!     fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
//!         let number = self.home.lock().unwrap().pop().ok_or(AllocError)?;
//!         Ok(NonNull::from(&self.descs[number]))
//!     }
//!
//!     unsafe fn put(&self, page: NonNull<PageDesc>) {
//!         let number = self.number(page);
//!         self.home.lock().unwrap().push(number);
//!     }
//!
//!     fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
//!         let offset = addr.addr().get().wrapping_sub(self.base.addr().get());
//!         self.descs.get(offset / PAGE).map(NonNull::from)
//!     }
//!
//!     unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
//!         // SAFETY: there are so many pages.
//!         unsafe { self.base.add(self.number(page) * PAGE) }
//!     }
//! }
//!
//! struct Parts;
//! impl Embed for Parts {
//!     type Rcu = &'static Domain;
//!     type Source = &'static Block;
//!     type Lock = SpinLock;
//!     type Hooks = ();
//! }
//!
//! let source: &'static Block = Box::leak(Box::new(Block::new()));
//! # #[cfg(feature = "check")]
//! ptfrag::check::page_source(&source, PAGES); // with the feature `check`
//! let mm = Mm::<16, 256, Parts>::new_in(Domain::global(), source, ());
//! let frags: Vec<_> = std::iter::from_fn(|| mm.alloc().ok()).collect();
//! assert_eq!(frags.len(), 16 * PAGES);
//! # }
//! ```
//!
//! What to ask: where do descriptors live (beside the kernel's own structure of a page, or in an array; all-zero bytes are
//! one; they outlast every handle of the source)? Does `desc` find one from *any* address, also of a page that is at home,
//! and say no to an address that is not the source's, without a lock? Who puts and who gets: `put` comes from callbacks, on any
//! thread. Free pages need no memory of their own, if they are chained by [`PageDesc::set_link`](crate::PageDesc::set_link).
//! Whoever knows that a page is zero says so by [`is_zeroed`](crate::PageSource::is_zeroed); whoever runs short, by
//! [`is_scarce`](crate::PageSource::is_scarce).
//!
//! Ready-made are [`Region`](crate::Region), [`Memory`](crate::Memory) and [`Nested`](crate::Nested).
//!
//! # A lock
//! A [`RawLock`](crate::RawLock) lies in the mm's head, which another thread may free as soon as it gets the lock: so the
//! step of `unlock` that lets it in is the last access.
//!
//! ```
//! use std::{hint, sync::atomic::{AtomicBool, Ordering}};
//!
//! use ptfrag::RawLock;
//!
//! struct Flag(AtomicBool);
//!
//! // SAFETY: the exchange lets one in, and Acquire pairs with the Release in `unlock`, which is that store and
//! // nothing else.
//! unsafe impl RawLock for Flag {
//!     fn new() -> Self {
//!         Self(AtomicBool::new(false))
//!     }
//!
//!     fn lock(&self) {
//!         while !self.try_lock() {
//!             hint::spin_loop();
//!         }
//!     }
//!
//!     fn try_lock(&self) -> bool {
//!         !self.0.swap(true, Ordering::Acquire)
//!     }
//!
//!     unsafe fn unlock(&self) {
//!         self.0.store(false, Ordering::Release);
//!     }
//! }
//! # #[cfg(feature = "check")]
//! ptfrag::check::raw_lock::<Flag>(); // with the feature `check`
//! ```
//!
//! What to ask: can whoever holds it be interrupted by a callback on the same processor? Callbacks only try the lock, and
//! `try_lock` has to fail then. A kernel's spin lock that keeps preemption off is what a kernel takes.
//!
//! # Hooks
//! [`Hooks`](crate::Hooks) see pages come and go and retired fragments come back; `()` does nothing. These count page
//! tables, as a kernel's constructor and destructor do:
//!
//! ```
//! # #[cfg(all(unix, feature = "std"))] {
//! use std::{ptr::NonNull, sync::atomic::{AtomicUsize, Ordering}};
//!
//! use ptfrag::{AllocError, Domain, Hooks, Mm, Region, Std};
//!
//! static TABLES: AtomicUsize = AtomicUsize::new(0);
//!
//! struct Counted;
//!
//! impl Hooks for Counted {
//!     fn page_in(&self, _: NonNull<u8>) -> Result<(), AllocError> {
//!         TABLES.fetch_add(1, Ordering::Relaxed);
//!         Ok(())
//!     }
//!
//!     fn page_out(&self, _: NonNull<u8>) {
//!         TABLES.fetch_sub(1, Ordering::Relaxed);
//!     }
//! }
//!
//! let region = Region::new(100)?;
//! let mm = Mm::<16, 256, Std<'static, 4096, Counted>>::new_in(Domain::global(), region, Counted);
//! let frag = mm.alloc()?;
//! assert_eq!(TABLES.load(Ordering::Relaxed), 1);
//! drop((frag, mm));
//! assert_eq!(TABLES.load(Ordering::Relaxed), 0);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # An RCU
//! [`Rcu`](crate::Rcu) asks for a section, for `call_rcu` on a head of two words, and if it can be had for tickets:
//! `get_state_synchronize_rcu` and `poll_state_synchronize_rcu` in Linux. Without tickets all works, but what is retired while
//! a call is in flight waits for the next, and a page that another mm has shown is used from under the lock only.
//!
//! What to ask: where do callbacks run? Not inside `call`, `read` or the drop of a guard, nor in a section. Does `call`
//! allocate or wait? Does it work on a thread that has never read, and while a thread ends? Which numbers do tickets have, if
//! other RCUs use pages of the same source?
//!
//! # Places without an allocator
//! [`Mm::new_at`](crate::Mm::new_at), [`Mm::lanes_at`](crate::Mm::lanes_at) and [`Mm::local_at`](crate::Mm::local_at) take
//! memory of the caller's, and say when it is free again:
//!
//! ```
//! # #[cfg(all(unix, feature = "std"))] {
//! use std::{mem::MaybeUninit, ptr::NonNull, sync::atomic::{AtomicBool, Ordering}};
//!
//! use ptfrag::{Domain, Mm, MmHead, Region, Std};
//!
//! static FREE: AtomicBool = AtomicBool::new(false);
//!
//! unsafe fn dispose(_: NonNull<MmHead<16, 256, Std<'static>>>) {
//!     FREE.store(true, Ordering::Release);
//! }
//!
//! let place: &'static mut MaybeUninit<_> = Box::leak(Box::new(MaybeUninit::uninit()));
//! let region = Region::new(100)?;
//! // SAFETY: the place is aligned and ours, and stays so for ever.
//! let mm = unsafe { Mm::new_at(NonNull::from(place), dispose, Domain::global(), region, ()) };
//! drop(mm);
//! assert!(FREE.load(Ordering::Acquire)); // at once, since no page was out
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it takes
//! Outside the page nothing but its descriptor, 40 bytes on 64-bit machines; in it nothing at all. A source of one's own may
//! pack them; [`Region`](crate::Region) has them 64 bytes apart, so that threads on neighbouring pages share no cache line.
//! For each fragment that is, packed and apart:
//!
//! | fragments of a page | 2 | 4 | 8 | 16 |
//! | --- | ---: | ---: | ---: | ---: |
//! | bytes for each, packed | 20 | 10 | 5 | 2.5 |
//! | bytes for each in a `Region` | 32 | 16 | 8 | 4 |
