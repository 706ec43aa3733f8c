//! The mutants that cargo-mutants makes.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::{
    plant::{self, Planted},
    tree::{self, Files, Tree},
};

/// The rooms whose mutants are looked at: all but the facade, the contracts and the page source.
const FILES: &[&str] = &[
    "src/rcu_head.rs",
    "src/page/*.rs",
    "src/page/word/mod.rs",
    "src/page/word/display.rs",
    "src/mm/*.rs",
    "src/frag/*.rs",
    "src/slot.rs",
    "src/local/*.rs",
    "src/builtin/spin.rs",
    "src/builtin/domain/*.rs",
];

/// A mutant as `cargo mutants --list --json` prints it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    pub file: String,
    name: String,
    span: Span,
    replacement: String,
    function: Option<Function>,
}

/// What it is in.
#[derive(Clone, Debug, Deserialize)]
struct Function {
    function_name: String,
    span: Span,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Span {
    start: Position,
    end: Position,
}

/// Both count from one, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Position {
    line: usize,
    column: usize,
}

impl Position {
    fn offset(self, text: &str) -> Option<usize> {
        let before: usize = text.split_inclusive('\n').take(self.line - 1).map(str::len).sum();
        let line = text[before..].split_inclusive('\n').next()?;
        let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        ends.nth(self.column - 1).map(|at| before + at)
    }
}

impl Mutant {
    /// What cargo-mutants says of it, without the place.
    pub fn what(&self) -> &str {
        self.name.split_once(": ").map_or(&self.name, |(_, what)| what)
    }

    pub fn line(&self) -> usize {
        self.span.start.line
    }

    /// Names it among all: the place and what.
    pub fn id(&self) -> &str {
        &self.name
    }

    /// The lines of the source that it changes, as they were.
    pub fn source(&self, root: &Path) -> Result<String, String> {
        let text = plant::read(root, &self.file)?;
        let count = self.span.end.line + 1 - self.span.start.line;
        let lines: Vec<_> = text.lines().skip(self.span.start.line - 1).take(count).collect();
        Ok(lines.join("\n"))
    }

    pub fn plant(&self, root: &Path) -> Result<Planted, String> {
        let text = plant::read(root, &self.file)?;
        let planted = self.apply(&text).ok_or_else(|| format!("{}: no such place", self.name))?;
        Ok(Planted::from([(self.file.clone(), planted)]))
    }

    /// Tells what it makes of the function that it is in from whatever else is made of any, wherever
    /// that is.
    pub fn key(&self, root: &Path) -> Result<String, String> {
        let text = plant::read(root, &self.file)?;
        let missing = || format!("{}: no such place", self.name);
        let Some(Function { function_name, span }) = &self.function else {
            return Ok(tree::key_of_code("", &self.apply(&text).ok_or_else(missing)?));
        };
        let end = span.end.offset(&text).ok_or_else(missing)?;
        let start = span.start.offset(&text).ok_or_else(missing)?;
        let planted = self.apply(&text).ok_or_else(missing)?;
        let behind = text.len() - end;
        Ok(tree::key_of_code(function_name, &planted[start..planted.len() - behind]))
    }

    fn apply(&self, text: &str) -> Option<String> {
        let (start, end) = (self.span.start.offset(text)?, self.span.end.offset(text)?);
        Some(format!("{}{}{}", &text[..start], self.replacement, &text[end..]))
    }
}

/// All of them.
///
/// cargo-mutants makes none of unsafe functions, which here are the heart of the matter. So it is
/// shown a copy, in `dir`, in which they are safe, and each thing is where it is in the original.
pub fn list(dir: &Path, files: &Files) -> Result<Vec<Mutant>, String> {
    let safe = files.iter().map(|(name, bytes)| (name.clone(), safe(name, bytes)));
    let tree = Tree::new(dir.join("listed"), &safe.collect())?;
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json"]).current_dir(tree.root());
    for file in FILES {
        command.args(["--file", file]);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo mutants (`cargo install cargo-mutants`): {said}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// A file with its unsafe functions declared safe; nothing moves.
fn safe(name: &str, bytes: &[u8]) -> Vec<u8> {
    match str::from_utf8(bytes) {
        Ok(text) if name.ends_with(".rs") => text
            .replace("unsafe fn ", "       fn ")
            .replace("unsafe extern ", "       extern ")
            .into_bytes(),
        _ => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_functions_are_shown_as_safe_ones() {
        let text = "pub unsafe fn f() {}\nunsafe extern \"C\" fn g() { unsafe { f() } }\n";
        let safe = String::from_utf8(safe("a.rs", text.as_bytes())).unwrap();
        let expected = text.replace("unsafe fn", "fn").replace("unsafe extern", "extern");
        assert_eq!(safe.replace("       ", ""), expected);
        assert_eq!(safe.find("g()"), text.find("g()"));
        assert_eq!(super::safe("a.md", text.as_bytes()), text.as_bytes());
    }

    fn mutant(start: (usize, usize), end: (usize, usize)) -> Mutant {
        let at = |(line, column)| Position { line, column };
        Mutant {
            file: "f".into(),
            name: "f:2:3: replace a::b with c".into(),
            span: Span { start: at(start), end: at(end) },
            replacement: "new".into(),
            function: None,
        }
    }

    #[test]
    fn a_span_ends_before_its_last_column() {
        let text = "one\ntwo é three\nfour\n";
        let planted = |start, end| mutant(start, end).apply(text);
        assert_eq!(planted((2, 5), (2, 6)).unwrap(), "one\ntwo new three\nfour\n");
        assert_eq!(planted((1, 1), (2, 4)).unwrap(), "new é three\nfour\n");
        assert_eq!(planted((9, 1), (9, 2)), None);
    }

    #[test]
    fn the_place_is_not_part_of_what() {
        assert_eq!(mutant((1, 1), (1, 2)).what(), "replace a::b with c");
    }
}
