//! Builds the crate on loom's primitives; `src/sync.rs` looks at this cfg.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=loom");
}
