//! Tests over `crate::api`, which is one of the versions of allocator-api2.

mod block;
mod boxes;
mod contract;
mod flat;
mod model;
pub mod parts;
mod threads;
mod vecs;
