//! A scratch copy of the repository, in which faults are planted.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    fs,
    hash::{Hash, Hasher},
    iter,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use crate::plant::Planted;

/// The files of the repository, by path: those that git tracks, as they are now.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Reads them.
pub fn files(root: &Path) -> Result<Files, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    let names = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let names = names.split('\0').filter(|name| !name.is_empty() && root.join(name).is_file());
    let read = |name: &str| {
        let bytes = fs::read(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        Ok((name.to_owned(), bytes))
    };
    names.map(read).collect()
}

/// Tells states of the source apart: of all that the nets are built from.
pub fn fingerprint(files: &Files) -> u64 {
    let mut hasher = DefaultHasher::new();
    let dirs = ["src/", "tests/", "loom-tests/", "shuttle-tests/"];
    let counts = |name: &str| {
        dirs.iter().any(|dir| name.starts_with(dir)) || matches!(name, "Cargo.toml" | "Cargo.lock")
    };
    files.iter().filter(|(name, _)| counts(name)).for_each(|file| file.hash(&mut hasher));
    hasher.finish()
}

/// Tells a fault in a state of the source from every other.
pub fn key(source: u64, planted: &Planted) -> String {
    let parts = planted.iter().flat_map(|file| [file.0.as_bytes(), file.1.as_bytes()]);
    digest(iter::once(&source.to_le_bytes()[..]).chain(parts))
}

/// Tells a piece of code from every other: whatever file it is in, and without imports and comments.
pub fn key_of_code(name: &str, text: &str) -> String {
    digest(iter::once(name).chain(code(text)).map(str::as_bytes))
}

fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a file that are code, without imports. (As rustfmt leaves them.)
fn code(text: &str) -> impl Iterator<Item = &str> {
    let mut importing = false;
    text.lines().map(str::trim).filter(move |line| {
        let words = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
        importing |= words.starts_with("use ");
        let keep = !importing && !line.is_empty() && !line.starts_with("//");
        importing &= !line.ends_with(';');
        keep
    })
}

/// The copy. Files that do not change keep their time stamps, so that cargo builds only what does.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes the copy at `root` equal to `files`.
    pub fn new(root: PathBuf, files: &Files) -> Result<Self, String> {
        let tree = Self { root };
        for stray in tree.present()? {
            if !files.contains_key(&stray) {
                fs::remove_file(tree.root.join(&stray)).map_err(|error| error.to_string())?;
            }
        }
        for (name, bytes) in files {
            tree.write(name, bytes)?;
        }
        Ok(tree)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds what is in the copy.
    pub fn target(&self) -> PathBuf {
        self.root.with_extension("target")
    }

    /// Plants a fault.
    pub fn plant(&self, planted: &Planted) -> Result<(), String> {
        planted.iter().try_for_each(|(name, text)| self.write(name, text.as_bytes()))
    }

    /// Takes it out again.
    pub fn mend(&self, planted: &Planted, files: &Files) -> Result<(), String> {
        planted.keys().try_for_each(|name| self.write(name, &files[name]))
    }

    /// Throws away what a compiler that was stopped has left for the next one.
    pub fn forget_half_built(&self) -> Result<(), String> {
        let half_built = self.target().join("debug/incremental");
        match fs::remove_dir_all(&half_built) {
            Err(error) if half_built.exists() => Err(format!("{}: {error}", half_built.display())),
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.root.join(name);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        let dir = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(dir)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The files that are there.
    fn present(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(&self.root).map_err(|error| error.to_string())?;
                    found.push(name.to_string_lossy().into_owned());
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(src: &str, readme: &str) -> Files {
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        Files::from([file("src/lib.rs", src), file("README.md", readme)])
    }

    #[test]
    fn results_are_kept_while_source_and_fault_are_the_same() {
        let planted = |text: &str| Planted::from([("src/lib.rs".to_owned(), text.to_owned())]);
        let old = fingerprint(&files("a", "x"));
        assert_eq!(old, fingerprint(&files("a", "y")));
        assert_ne!(old, fingerprint(&files("b", "x")));
        assert_eq!(key(old, &planted("c")), key(old, &planted("c")));
        assert_ne!(key(old, &planted("c")), key(old, &planted("d")));
        assert_ne!(key(old, &planted("c")), key(old + 1, &planted("c")));
    }

    #[test]
    fn code_may_move() {
        let text = "//! Docs.\n\nuse crate::{\n    a::B,\n    c,\n};\n\n/// D.\nfn f() { c(1) }\n";
        let moved = "//! Others.\n\nuse super::{a::B, d::c};\n\n    fn f() { c(1) }\n";
        assert_eq!(key_of_code("f", text), key_of_code("f", moved));
        assert_ne!(key_of_code("f", text), key_of_code("f", &text.replace("c(1)", "c(0)")));
        assert_ne!(key_of_code("f", text), key_of_code("A::f", text));
        assert_ne!(key_of_code("f", text), key_of_code("f", "use a::B;\n"));
    }

    #[test]
    fn the_copy_follows_the_files() {
        let root = std::env::temp_dir().join(format!("ptfrag-verify-{}", std::process::id()));
        let old = files("a", "x");
        let tree = Tree::new(root.clone(), &old).unwrap();
        let read = || fs::read_to_string(root.join("src/lib.rs")).unwrap();
        let planted = Planted::from([("src/lib.rs".to_owned(), "b".to_owned())]);
        tree.plant(&planted).unwrap();
        assert_eq!(read(), "b");
        tree.mend(&planted, &old).unwrap();
        assert_eq!(read(), "a");
        let without: Files = old.into_iter().filter(|(name, _)| name != "README.md").collect();
        Tree::new(root.clone(), &without).unwrap();
        assert!(!root.join("README.md").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
