//! ptfrag for C.
//!
//! Everything is behind pointers to structures that C does not look into. Geometries are chosen at run time from those
//! compiled in here: 16, 8, 4 and 2 fragments of pages of 4 KiB and of 64 KiB, each for the built-in parts and for a
//! [table](Parts) of the caller's. A caller's bug that memory safety rests on (a second free, a foreign pointer) ends the
//! process with a text that says what is wrong, as a panic cannot unwind into C.

#![allow(
    clippy::missing_safety_doc,
    reason = "the safety conditions are C's: each function's text has them"
)]

mod any;
mod desc;
mod domain;
mod geometry;
mod head;
mod local;
mod mm;
mod origin;
mod own;
mod region;
mod section;

pub use self::{
    desc::*, domain::*, head::*, local::*, mm::*, origin::*, own::*, region::*, section::*,
};
