//! An mm over the caller's own RCU, lock, pages and hooks.

mod called;
mod hooks;
mod lock;
mod parts;
mod rcu;
mod source;

use std::marker::PhantomData;

use ptfrag::Embed;

use self::{hooks::OwnHooks, lock::OwnLock, rcu::OwnRcu, source::OwnSource};
pub use self::{
    lock::{Lock, PTFRAG_LOCK_WORDS},
    parts::Parts,
};
use crate::{
    any::AnyMm,
    geometry::{AnyRegion, large, small},
};

/// The parts of an mm, by their types.
struct Of<const PAGE: usize>(PhantomData<()>);

impl<const PAGE: usize> Embed for Of<PAGE> {
    type Rcu = OwnRcu;
    type Source = OwnSource<PAGE>;
    type Lock = OwnLock;
    type Hooks = OwnHooks;
}

/// An mm of such parts; `None` if they are not whole, or there is no such geometry.
pub(crate) fn own(parts: &'static Parts, fragments: usize) -> Option<Box<dyn AnyMm>> {
    if !parts.is_whole() {
        return None;
    }
    let rcu = OwnRcu::new(parts);
    let page = parts.page_bytes();
    let hooks = OwnHooks::new(parts, page, page.checked_div(fragments)?);
    match (parts.region(), page) {
        (Some(AnyRegion::Small(region)), _) => {
            small::<Of<4096>>(rcu, OwnSource::new(parts, Some(region)), hooks, fragments)
        }
        (Some(AnyRegion::Large(region)), _) => {
            large::<Of<65536>>(rcu, OwnSource::new(parts, Some(region)), hooks, fragments)
        }
        (None, 4096) => small::<Of<4096>>(rcu, OwnSource::new(parts, None), hooks, fragments),
        (None, 65536) => large::<Of<65536>>(rcu, OwnSource::new(parts, None), hooks, fragments),
        _ => None,
    }
}
