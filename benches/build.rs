//! Finds liburcu, if it is asked for.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(liburcu)");
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "liburcu")]
    match pkg_config::Config::new().atleast_version("0.13").probe("liburcu-memb") {
        Ok(_) => println!("cargo::rustc-cfg=liburcu"),
        Err(_) => println!(
            "cargo::warning=liburcu 0.13 is not installed (Debian: liburcu-dev): its rows are left out"
        ),
    }
}
