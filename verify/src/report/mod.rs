//! `results/verification.md`, `results/mutants.md`, and what is not as it should be.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

mod mutants;
mod nets;

use crate::{
    clean::Clean,
    faults::{Fault, Kind},
    mutants::Mutant,
    plant,
    store::{self, Store, Verdict},
    survivors::{self, Reason},
    tree,
};

/// What was found, in this state of the source.
pub struct Findings {
    root: PathBuf,
    source: u64,
    store: Store,
    reasons: Vec<Reason>,
}

/// A part of the report, and what is not as it should be in it.
pub struct Part {
    pub text: String,
    pub problems: Vec<String>,
}

const RUN: &str = "cargo run --release -p ptfrag-verify --";

impl Findings {
    /// What is known now.
    pub fn new(root: &Path, dir: &Path, source: u64) -> Result<Self, String> {
        let (store, reasons) = (Store::open(root, dir)?, survivors::load(root)?);
        Ok(Self { root: root.to_owned(), source, store, reasons })
    }

    /// The faults written by hand. Each must be caught by the test that is named for it, or be one
    /// that nothing can catch, and survive.
    pub fn faults(&self, faults: &[Fault]) -> Result<Part, String> {
        let mut part = Part { text: String::new(), problems: Vec::new() };
        let titles = [
            (Kind::History, "Faults of history", "fault"),
            (Kind::Step, "Steps left out, or out of place", "fault"),
            (Kind::Handle, "Faults of handles and of kept pages", "fault"),
            (Kind::Ordering, "Orderings, one step weaker", "ordering"),
        ];
        for (kind, title, head) in titles {
            let mut rows = String::new();
            let (mut caught, mut all) = (0, 0);
            for fault in faults.iter().filter(|fault| fault.kind == kind) {
                let planted = plant::plant(&self.root, &fault.edits)?;
                let known = self.store.get(&tree::key(self.source, &planted));
                let missing =
                    || format!("{}: not hunted yet in this state of the source", fault.id);
                let verdict = &known.ok_or_else(missing)?.verdict;
                all += 1;
                caught += usize::from(matches!(verdict, Verdict::Killed { .. }));
                let by = match (verdict, &fault.equivalent) {
                    (Verdict::Survived, Some(why)) => format!("nothing can: {why}"),
                    (verdict, _) => catcher(verdict),
                };
                let (id, story) = (&fault.id, cell(&fault.story));
                let _ = writeln!(rows, "| {id} | {story} | {} |", cell(&by));
                part.problems.extend(unexpected(fault, verdict));
            }
            let _ = write!(
                part.text,
                "## {title}\n\n{caught} of {all} are caught.\n\n\
                 | {head} | what | caught by |\n| --- | --- | --- |\n{rows}\n"
            );
        }
        Ok(part)
    }

    fn put(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.root.join("results").join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Writes what is known of the nets and of the faults written by hand.
    pub fn write(&self, clean: &Clean, faults: &[Fault]) -> Result<Vec<String>, String> {
        let faults = self.faults(faults)?;
        let nets = nets::nets(&self.root, clean);
        self.put(
            "verification.md",
            &format!("{nets}{}", faults.text.trim_end().to_owned() + "\n"),
        )?;
        Ok(faults.problems)
    }

    /// Writes what became of all mutants.
    pub fn write_mutants(&self, mutants: &[Mutant]) -> Result<Vec<String>, String> {
        let keys = mutants.iter().map(|mutant| mutant.key(&self.root));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        store::report(&self.root, keys.iter().filter_map(|key| self.store.get(key)))?;
        let (part, each) = self.mutants(mutants, mutants.len())?;
        let commit = nets::commit(&self.root);
        let title =
            format!("# What cargo-mutants makes\n\nOf `{RUN} mutants`, at commit {commit}.");
        let head = "## One by one\n\n| mutant | caught by |\n| --- | --- |";
        self.put("mutants.md", &format!("{title}\n\n{}\n{head}\n{each}", part.text))?;
        Ok(part.problems)
    }
}

/// What is wrong about this verdict, if anything.
fn unexpected(fault: &Fault, verdict: &Verdict) -> Option<String> {
    let right = match (verdict, &fault.killer) {
        (Verdict::Survived, None) => true,
        (verdict, Some(killer)) => verdict.is_kill_by(&killer.net, &killer.test),
        _ => false,
    };
    let expected = fault.killer.as_ref().map_or_else(
        || "to survive".to_owned(),
        |killer| format!("to be caught by {} {}", killer.net, killer.test),
    );
    (!right).then(|| format!("{}: {}; expected {expected}", fault.id, catcher(verdict)))
}

fn catcher(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Killed { net, test, timeout } => {
            let test = test.as_deref().map_or(String::new(), |test| format!(" {test}"));
            format!("{net}{test}{}", if *timeout { " (timeout)" } else { "" })
        }
        Verdict::Survived => "**nothing**".to_owned(),
        Verdict::Unviable { net, .. } => format!("**does not compile** ({net})"),
    }
}

/// Text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
