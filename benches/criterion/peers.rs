//! The peers under glibc's malloc.
//!
//! `cargo bench -p ptfrag-benches --bench peers`; `--bench peers-mimalloc` for mimalloc.

mod all_peers;
mod shared;

fn main() {
    let mut criterion = shared::config().configure_from_args();
    all_peers::peers(&mut criterion, "+glibc");
    criterion.final_summary();
}
