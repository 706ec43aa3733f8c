//! The benchmarks: who is measured, at what work, and how a measurement is asked for.
//!
//! - [`allocator`]: what everybody who is measured has to be able to do.
//! - [`who`]: ptfrag, its peers, policies of kernels, a control and the floor.
//! - [`work`]: the workloads, told apart from who does them.
//! - [`job`]: one measurement, asked for and answered in JSON by a process of its own, so that
//!   neither heap nor garbage of one row can weigh on the next.
//!
//! `cargo run --release -p ptfrag-benches --bin results` runs all of it and writes `results/`.
//! `cargo bench -p ptfrag-benches` measures the pair workload with criterion.

pub mod allocator;
pub mod heap;
pub mod job;
pub mod who;
pub mod work;

#[cfg(test)]
mod tests;
