//! Measures under glibc's malloc.

use std::process::ExitCode;

fn main() -> ExitCode {
    ptfrag_benches::job::main()
}
