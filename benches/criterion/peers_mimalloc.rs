//! The peers under mimalloc.

mod all_peers;
mod shared;

#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = shared::config().configure_from_args();
    all_peers::peers(&mut criterion, "+mimalloc");
    criterion.final_summary();
}
