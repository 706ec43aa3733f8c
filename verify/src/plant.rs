//! Planting a fault: text substitution in a copy of the source.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

/// One substitution. `find` occurs exactly once in the file, or, with `after`, is the first
/// occurrence behind that, which occurs exactly once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub file: String,
    pub after: Option<String>,
    pub find: String,
    pub replace: String,
}

impl Edit {
    /// The text with the fault in it.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let complain = |what: &str, count: usize| {
            format!("`{what}` occurs {count} times in {}, and not once", self.file)
        };
        let start = match &self.after {
            None => {
                let count = text.matches(&self.find).count();
                if count != 1 {
                    return Err(complain(&self.find, count));
                }
                0
            }
            Some(after) => {
                let count = text.matches(after.as_str()).count();
                if count != 1 {
                    return Err(complain(after, count));
                }
                text.find(after).map_or(0, |at| at + after.len())
            }
        };
        let Some(at) = text[start..].find(&self.find) else {
            return Err(complain(&self.find, 0));
        };
        if self.find == self.replace {
            return Err(format!("`{}` is replaced by itself", self.find));
        }
        let at = start + at;
        Ok(format!("{}{}{}", &text[..at], self.replace, &text[at + self.find.len()..]))
    }
}

/// Files with a fault in them, by their path in the repository.
pub type Planted = BTreeMap<String, String>;

/// The files that a list of edits changes, with the changes made one after the other.
pub fn plant(root: &Path, edits: &[Edit]) -> Result<Planted, String> {
    let mut planted = Planted::new();
    for edit in edits {
        let text = match planted.remove(&edit.file) {
            Some(text) => text,
            None => read(root, &edit.file)?,
        };
        planted.insert(edit.file.clone(), edit.apply(&text)?);
    }
    Ok(planted)
}

/// A file of the repository.
pub fn read(root: &Path, file: &str) -> Result<String, String> {
    fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(after: Option<&str>, find: &str) -> Edit {
        let after = after.map(String::from);
        Edit { file: "f".into(), after, find: find.into(), replace: "Y".into() }
    }

    #[test]
    fn only_what_occurs_once_is_replaced() {
        assert_eq!(edit(None, "b").apply("abc").unwrap(), "aYc");
        assert!(edit(None, "b").apply("abcb").unwrap_err().contains("occurs 2 times"));
        assert!(edit(None, "x").apply("abc").unwrap_err().contains("occurs 0 times"));
    }

    #[test]
    fn a_context_picks_the_occurrence_behind_it() {
        assert_eq!(edit(Some("c"), "b").apply("abcbb").unwrap(), "abcYb");
        assert!(edit(Some("c"), "a").apply("abc").is_err());
        assert!(edit(Some("b"), "c").apply("bcbc").unwrap_err().contains("`b` occurs 2 times"));
    }

    #[test]
    fn a_fault_that_changes_nothing_is_refused() {
        assert!(edit(None, "Y").apply("aYc").unwrap_err().contains("by itself"));
    }
}
