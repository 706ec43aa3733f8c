//! An mm over the caller's own RCU, pages and hooks.

use std::{ffi::c_void, marker::PhantomData, mem, ptr::NonNull};

use ptfrag::{AllocError, Embed, Hooks, PageDesc, PageSource, Rcu, RcuFn, RcuHead, SpinLock};

use crate::geometry::{AnyMm, large, small};

/// Two words with which a page waits for a grace period, for the caller's RCU to use as it likes: `struct rcu_head` of Linux
/// and of liburcu fit.
#[repr(C)]
pub struct Head {
    /// The RCU's, while the head is queued.
    pub words: [*mut c_void; 2],
}

/// What is called after the grace period, once, with the head that was queued.
pub type Func = unsafe extern "C" fn(head: *mut Head);

/// The caller's own parts. Each function gets `context` first. `page_in`, `page_out`
/// and `reclaim` may be NULL.
#[repr(C)]
pub struct Parts {
    /// The caller's.
    pub context: *mut c_void,
    /// Bytes of a page: 4096 or 65536.
    pub page_size: usize,
    /// Enters a read-side section of the calling thread. Sections nest.
    pub read_lock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Leaves it. It must not run callbacks.
    pub read_unlock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Has `func(head)` called when all sections are over that there are now; never from inside `call`, `read_lock` or
    /// `read_unlock`. It neither waits nor fails.
    pub call: Option<unsafe extern "C" fn(context: *mut c_void, head: *mut Head, func: Func)>,
    /// A page and its descriptor, or false when there is none. A descriptor is PTFRAG_DESC_SIZE bytes at a multiple of
    /// PTFRAG_DESC_ALIGN, all zero when the page is handed out for the first time and not written by the source ever
    /// after; it stays as long as any mm of these parts.
    pub page_get: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            page: *mut *mut u8,
            desc: *mut *mut c_void,
        ) -> bool,
    >,
    /// A page comes back. Called in callbacks, too: it does not wait for a grace period.
    pub page_put:
        Option<unsafe extern "C" fn(context: *mut c_void, page: *mut u8, desc: *mut c_void)>,
    /// The descriptor of the page in which an address lies, or NULL if it is none of the source's. Called under the mm's
    /// lock and in callbacks, too: it does not wait.
    pub desc_of:
        Option<unsafe extern "C" fn(context: *mut c_void, address: *const u8) -> *mut c_void>,
    /// The first byte of a descriptor's page. Called where `desc_of` is.
    pub page_of: Option<unsafe extern "C" fn(context: *mut c_void, desc: *const c_void) -> *mut u8>,
    /// A page is about to be used, and is split; false refuses it (Linux: a page-table constructor).
    pub page_in: Option<unsafe extern "C" fn(context: *mut c_void, page: *mut u8) -> bool>,
    /// A page is about to go back.
    pub page_out: Option<unsafe extern "C" fn(context: *mut c_void, page: *mut u8)>,
    /// The grace period of a fragment is over, and it is about to be handed out again. In callbacks.
    pub reclaim: Option<unsafe extern "C" fn(context: *mut c_void, frag: *mut u8)>,
}

// SAFETY: the caller's functions are fit to be called on any thread, with the context.
unsafe impl Send for Parts {}
// SAFETY: as above.
unsafe impl Sync for Parts {}

/// Bytes of a page descriptor.
#[unsafe(no_mangle)]
pub static PTFRAG_DESC_SIZE: usize = PageDesc::SIZE;

/// Bytes to whose multiple a page descriptor is aligned.
#[unsafe(no_mangle)]
pub static PTFRAG_DESC_ALIGN: usize = PageDesc::ALIGN;

const _: () = assert!(size_of::<Head>() == size_of::<RcuHead>());

impl Parts {
    fn is_whole(&self) -> bool {
        self.read_lock.is_some()
            && self.read_unlock.is_some()
            && self.call.is_some()
            && self.page_get.is_some()
            && self.page_put.is_some()
            && self.desc_of.is_some()
            && self.page_of.is_some()
    }
}

/// An mm of such parts; `None` if they are not whole, or there is no such geometry.
pub(crate) fn own(parts: &'static Parts, fragments: usize) -> Option<Box<dyn AnyMm>> {
    if !parts.is_whole() {
        return None;
    }
    match parts.page_size {
        4096 => small::<Of<4096>>(OwnRcu(parts), Own(parts), OwnHooks(parts), fragments),
        65536 => large::<Of<65536>>(OwnRcu(parts), Own(parts), OwnHooks(parts), fragments),
        _ => None,
    }
}

/// The parts of an mm, by their types.
struct Of<const PAGE: usize>(PhantomData<()>);

impl<const PAGE: usize> Embed for Of<PAGE> {
    type Rcu = OwnRcu;
    type Source = Own<PAGE>;
    type Lock = SpinLock;
    type Hooks = OwnHooks;
}

#[derive(Clone, Copy)]
struct OwnRcu(&'static Parts);

/// A section of the caller's RCU; not `Send`, as sections belong to their thread.
struct OwnSection(OwnRcu, PhantomData<*mut ()>);

impl Drop for OwnSection {
    fn drop(&mut self) {
        let parts = self.0.0;
        if let Some(unlock) = parts.read_unlock {
            // SAFETY: the section was entered on this thread.
            unsafe { unlock(parts.context) };
        }
    }
}

// SAFETY: the caller's promise, function by function.
unsafe impl Rcu for OwnRcu {
    type Guard = OwnSection;

    fn read(self) -> OwnSection {
        if let Some(lock) = self.0.read_lock {
            // SAFETY: the caller's function, with its context.
            unsafe { lock(self.0.context) };
        }
        OwnSection(self, PhantomData)
    }

    fn covers(self, guard: &OwnSection) -> bool {
        std::ptr::eq(self.0, guard.0.0)
    }

    unsafe fn call(self, head: NonNull<RcuHead>, func: RcuFn) {
        // SAFETY: both are a function of a pointer, and heads have the same size.
        let func: Func = unsafe { mem::transmute::<RcuFn, Func>(func) };
        if let Some(call) = self.0.call {
            // SAFETY: the caller's function, with its context.
            unsafe { call(self.0.context, head.as_ptr().cast(), func) };
        }
    }
}

struct Own<const PAGE: usize>(&'static Parts);

// SAFETY: the caller's promise, function by function.
unsafe impl<const PAGE: usize> PageSource for Own<PAGE> {
    const PAGE_SIZE: usize = PAGE;

    fn get(&self) -> Result<NonNull<PageDesc>, AllocError> {
        let get = self.0.page_get.ok_or(AllocError)?;
        let (mut page, mut desc) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the caller's function, with its context.
        let got = unsafe { get(self.0.context, &raw mut page, &raw mut desc) };
        if !got {
            return Err(AllocError);
        }
        assert!(
            page.addr() != 0 && page.addr() % PAGE == 0,
            "ptfrag: page_get gave a page that is not aligned to its size"
        );
        let desc = NonNull::new(desc).expect("ptfrag: page_get gave no descriptor");
        assert!(
            desc.addr().get() % PageDesc::ALIGN == 0,
            "ptfrag: page_get gave a descriptor that is not aligned"
        );
        Ok(desc.cast())
    }

    unsafe fn put(&self, page: NonNull<PageDesc>) {
        // SAFETY: passed on to the caller.
        let addr = unsafe { self.addr(page) };
        if let Some(put) = self.0.page_put {
            // SAFETY: the caller's function, with its context.
            unsafe { put(self.0.context, addr.as_ptr(), page.as_ptr().cast()) };
        }
    }

    fn desc(&self, addr: NonNull<u8>) -> Option<NonNull<PageDesc>> {
        let desc_of = self.0.desc_of?;
        // SAFETY: the caller's function, with its context.
        NonNull::new(unsafe { desc_of(self.0.context, addr.as_ptr()) }.cast())
    }

    unsafe fn addr(&self, page: NonNull<PageDesc>) -> NonNull<u8> {
        let page_of = self.0.page_of.expect("checked when the mm was made");
        // SAFETY: the caller's function, with its context.
        let addr = unsafe { page_of(self.0.context, page.as_ptr().cast()) };
        NonNull::new(addr).expect("ptfrag: page_of does not know a page that it handed out")
    }
}

struct OwnHooks(&'static Parts);

impl Hooks for OwnHooks {
    fn page_in(&self, page: NonNull<u8>) -> Result<(), AllocError> {
        let Some(page_in) = self.0.page_in else { return Ok(()) };
        // SAFETY: the caller's function, with its context.
        if unsafe { page_in(self.0.context, page.as_ptr()) } { Ok(()) } else { Err(AllocError) }
    }

    fn page_out(&self, page: NonNull<u8>) {
        if let Some(page_out) = self.0.page_out {
            // SAFETY: the caller's function, with its context.
            unsafe { page_out(self.0.context, page.as_ptr()) };
        }
    }

    fn reclaim(&self, frag: NonNull<u8>) {
        if let Some(reclaim) = self.0.reclaim {
            // SAFETY: the caller's function, with its context.
            unsafe { reclaim(self.0.context, frag.as_ptr()) };
        }
    }
}
