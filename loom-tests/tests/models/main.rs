//! Models of the protocol, of the built-in domain, and of both together, each explored by loom.
//!
//! One binary, and one line on stderr for each model (`cargo test -p ptfrag-loom -- --nocapture`):
//! how many executions there were, and whether these are all of them. Those that take a minute or more do so only with
//! `PTFRAG_LOOM=long`, which their docs speak of; without it they are explored with a preemption less.

mod batch;
mod calls;
mod domain;
mod ends;
mod exit;
mod home;
mod joining;
mod keeping;
mod lanes;
mod local;
mod lock;
mod neighbours;
mod orderings;
mod quiet;
mod reader;
mod retire;
mod second_mm;
mod shapes;
mod slot;
mod spurious;
mod stopped;
mod support;
mod take;
mod together;
