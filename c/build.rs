//! How the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(system.as_str(), "linux" | "android" | "freebsd") {
        // Callbacks that wait, and what is to be done when a thread ends, lie in its code: it is never unloaded.
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    }
}
