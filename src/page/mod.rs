//! One page, and no mm: its fragments, its word, its descriptor.

mod desc;
pub mod mask;
mod pieces;
pub mod word;

pub use self::desc::PageDesc;
pub(crate) use self::pieces::Pieces;
