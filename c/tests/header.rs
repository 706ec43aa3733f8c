//! The header says what the library does.

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = cbindgen::generate(dir).expect("the library can be described");
    let mut text = Vec::new();
    made.write(&mut text);
    let path = dir.join("include/ptfrag.h");
    if std::env::var_os("PTFRAG_WRITE_HEADER").is_some() {
        std::fs::write(&path, &text).expect("the header can be written");
    }
    let old = std::fs::read(&path).unwrap_or_default();
    assert!(
        old == text,
        "write it anew: PTFRAG_WRITE_HEADER=1 cargo test -p ptfrag-c --test header"
    );
}
