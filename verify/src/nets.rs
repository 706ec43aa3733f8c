//! The nets, cheapest first.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{plant::Planted, tree::Tree};

/// A set of tests that is run as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Net {
    /// The crate's own unit tests: enumeration and properties of the word.
    Unit,
    /// Its integration tests, of real threads and hand-made grace periods.
    Tests,
    /// loom's models of the allocator.
    Loom,
    /// loom's models of the built-in RCU domain by itself.
    Domain,
    /// shuttle's scenes.
    Shuttle,
    /// The examples in the documentation.
    Doc,
}

impl Net {
    pub const ALL: [Self; 6] =
        [Self::Unit, Self::Tests, Self::Loom, Self::Domain, Self::Shuttle, Self::Doc];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Tests => "tests",
            Self::Loom => "loom",
            Self::Domain => "domain",
            Self::Shuttle => "shuttle",
            Self::Doc => "doc",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|net| net.name() == name)
    }

    /// Whether a fault can show here at all. The domain's own models cost as much as all the rest,
    /// and know nothing of pages.
    pub fn concerns(self, planted: &Planted) -> bool {
        let below = ["src/builtin/domain/", "src/builtin/spin.rs", "src/sync/", "src/rcu_head.rs"];
        self != Self::Domain
            || planted.keys().any(|file| below.iter().any(|part| file.starts_with(part)))
    }

    /// What cargo is to build for it, or for those of its tests.
    fn targets(self, root: &Path, only: &[&str]) -> Result<Vec<String>, String> {
        let fixed = |args: &[&str]| Ok(args.iter().map(|&arg| arg.to_owned()).collect());
        match self {
            Self::Unit => fixed(&["-p", "ptfrag", "--lib"]),
            Self::Tests => {
                let mut args = vec!["-p".to_owned(), "ptfrag".to_owned()];
                for name in integration_tests(root, only)? {
                    args.extend(["--test".to_owned(), name]);
                }
                Ok(args)
            }
            Self::Loom | Self::Domain => fixed(&["-p", "ptfrag-loom", "--test", "models"]),
            Self::Shuttle => fixed(&["-p", "ptfrag-shuttle", "--test", "scenes"]),
            Self::Doc => fixed(&["-p", "ptfrag", "--doc"]),
        }
    }

    /// Which of the tests in there are the net's.
    fn filter(self) -> &'static [&'static str] {
        match self {
            Self::Loom => &["--skip", "domain::"],
            Self::Domain => &["domain::"],
            _ => &[],
        }
    }

    /// Builds the tests, or what those are in; there is nothing to build beforehand for those in the documentation.
    pub fn build(self, tree: &Tree, only: &[&str]) -> Result<Option<Command>, String> {
        if self == Self::Doc {
            return Ok(None);
        }
        let mut command = cargo(tree);
        command.args(self.targets(tree.root(), only)?).arg("--no-run");
        Ok(Some(command))
    }

    /// Runs them, or those that are named.
    pub fn test(self, tree: &Tree, only: &[&str]) -> Result<Command, String> {
        let mut command = cargo(tree);
        command.env("PTFRAG_LOOM", "long");
        command.args(self.targets(tree.root(), only)?).arg("--");
        if only.is_empty() {
            command.args(self.filter());
        } else {
            command.arg("--exact").args(only);
        }
        Ok(command)
    }

    /// Runs them all, with fewer shuttle schedules than usual: what they find, most of them find soon.
    pub fn search(self, tree: &Tree) -> Result<Command, String> {
        let mut command = self.test(tree, &[])?;
        command.env("PTFRAG_SHUTTLE_ITERATIONS", SCHEDULES);
        Ok(command)
    }
}

/// So many schedules of each shuttle test look for a fault of which nobody says where it is caught.
pub const SCHEDULES: &str = "2000";

/// The integration tests of the crate, without those of the example `replay`; or those of them with a function of one of
/// these names, if there are any.
fn integration_tests(root: &Path, only: &[&str]) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root.join("tests")).map_err(|error| format!("tests: {error}"))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(String::from)
    });
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("replay")).collect();
    names.sort();
    let function = |test: &&str| format!("fn {}(", test.rsplit("::").next().unwrap_or(test));
    let functions: Vec<_> = only.iter().map(function).collect();
    let has = |name: &String| {
        let text = fs::read_to_string(root.join("tests").join(name).with_extension("rs"));
        text.is_ok_and(|text| functions.iter().any(|function| text.contains(function)))
    };
    let with: Vec<_> = names.iter().filter(|name| has(name)).cloned().collect();
    Ok(if with.is_empty() { names } else { with })
}

/// `cargo test` in the tree. A fault may allocate without end, so memory is limited.
fn cargo(tree: &Tree) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -d 8388608; exec cargo test --locked \"$@\"", "cargo"])
        .current_dir(tree.root())
        .env("CARGO_TARGET_DIR", tree.target())
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_TERM_COLOR", "never")
        .env("RUST_BACKTRACE", "0")
        // One after the other, so that the output tells which one it was that never ended.
        .env("RUST_TEST_THREADS", "1");
    command
}

/// How long something may take that took `seconds` without a fault: generous, since the machine does
/// other things as well.
pub fn limit(seconds: f64) -> Duration {
    Duration::from_secs_f64(8.0 + 3.0 * seconds)
}

/// How much of that one test may take.
pub const ONE_TEST: Duration = Duration::from_secs(150);
