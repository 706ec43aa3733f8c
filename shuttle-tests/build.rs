//! Builds the crate on shuttle's primitives; `src/sync/` looks at this cfg.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=ptfrag_shuttle");
}
