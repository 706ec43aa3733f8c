//! What is known already: what the last report says of the mutants, in `verify/known.jsonl`, and what
//! was found since, in `target/verify`, so that an interrupted run goes on where it was.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Verdict {
    Killed {
        net: String,
        test: Option<String>,
        timeout: bool,
    },
    Survived,
    /// With what the compiler said first.
    Unviable {
        net: String,
        error: String,
    },
}

impl Verdict {
    pub fn is_kill_by(&self, by_net: &str, by_test: &str) -> bool {
        matches!(self, Self::Killed { net, test: Some(test), .. } if net == by_net && test == by_test)
    }
}

/// A fault, by its key, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub key: String,
    pub id: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    pub seconds: f64,
}

/// Keeps other runs out of a directory until it is dropped: they would plant in the same trees.
pub fn lock(dir: &Path) -> Result<File, String> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.try_lock().map_err(|error| format!("{}: another run is there: {error}", dir.display()))?;
    Ok(file)
}

/// The outcomes so far, one to a line.
pub struct Store {
    known: HashMap<String, Outcome>,
    file: Mutex<File>,
}

/// What the last report says of the mutants.
fn reported(root: &Path) -> PathBuf {
    root.join("verify/known.jsonl")
}

impl Store {
    pub fn open(root: &Path, dir: &Path) -> Result<Self, String> {
        let path = dir.join("outcomes.jsonl");
        let complain = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(dir).map_err(complain)?;
        let [old, new] = [&reported(root), &path].map(fs::read_to_string);
        let known = parse(&(old.unwrap_or_default() + &new.unwrap_or_default()));
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(complain)?;
        Ok(Self { known, file: Mutex::new(file) })
    }

    pub fn get(&self, key: &str) -> Option<&Outcome> {
        self.known.get(key)
    }

    /// Adds an outcome for the next time.
    pub fn add(&self, outcome: &Outcome) -> Result<(), String> {
        let line = serde_json::to_string(outcome).map_err(|error| error.to_string())?;
        let mut file = self.file.lock().map_err(|error| error.to_string())?;
        // In one piece, so that an interruption leaves at most the last line unfinished.
        file.write_all(format!("{line}\n").as_bytes()).map_err(|error| error.to_string())
    }
}

/// Puts down for the next one who clones the repository what became of the mutants.
pub fn report<'a>(root: &Path, outcomes: impl Iterator<Item = &'a Outcome>) -> Result<(), String> {
    let lines: Result<Vec<_>, _> = outcomes.map(serde_json::to_string).collect();
    let text = lines.map_err(|error| error.to_string())?.join("\n") + "\n";
    let path = reported(root);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The last word on each key. A line that was not finished counts for nothing.
fn parse(text: &str) -> HashMap<String, Outcome> {
    let outcomes = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    outcomes.map(|outcome: Outcome| (outcome.key.clone(), outcome)).collect()
}

/// Writes a value to a file of its own.
pub fn save(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads it back, if it is there and can be read.
pub fn restore<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_run() {
        let dir = std::env::temp_dir().join(format!("ptfrag-verify-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let held = lock(&dir).unwrap();
        assert!(lock(&dir).unwrap_err().contains("another run is there"));
        drop(held);
        assert!(lock(&dir).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn outcomes_come_back_and_half_a_line_does_not() {
        let outcome = |key: &str, verdict| {
            let outcome = Outcome { key: key.into(), id: "i".into(), verdict, seconds: 1.0 };
            serde_json::to_string(&outcome).unwrap()
        };
        let killed = Verdict::Killed { net: "n".into(), test: Some("t".into()), timeout: false };
        let first = outcome("a", Verdict::Survived);
        let again = outcome("a", killed.clone());
        let unviable = Verdict::Unviable { net: "n".into(), error: "error: e".into() };
        let other = outcome("b", unviable.clone());
        let known = parse(&format!("{first}\n{again}\n{}", &other[..other.len() - 2]));
        assert_eq!(known.len(), 1);
        assert_eq!(known["a"].verdict, killed);
        assert_eq!(parse(&other)["b"].verdict, unviable);
    }
}
