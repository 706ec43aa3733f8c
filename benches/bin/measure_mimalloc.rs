//! Measures under mimalloc.

use std::process::ExitCode;

#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ptfrag_benches::job::main()
}
