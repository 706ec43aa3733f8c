//! Measures memory: glibc's malloc, with the bytes counted that are asked of it.

use std::process::ExitCode;

use ptfrag_benches::heap::Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

fn main() -> ExitCode {
    ptfrag_benches::job::main()
}
