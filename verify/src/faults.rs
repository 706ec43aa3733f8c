//! The faults written by hand, in `verify/faults/*.toml`.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;

use crate::plant::Edit;

/// Where a fault comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody made this mistake, or an earlier version of this design did.
    History,
    /// A step of the protocol left out or out of place, as far as nobody is known to have done so.
    Step,
    /// What could be wrong with per-thread handles, with pages that an mm keeps, or with batches.
    Handle,
    /// An atomic ordering weakened by one step, or a fence left out.
    Ordering,
}

/// A fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub id: String,
    pub kind: Kind,
    /// What is wrong with it, in words.
    pub story: String,
    /// The net that is expected to catch it, and the test in it.
    pub killer: Option<Killer>,
    /// In the place of a killer: why nothing can tell it from the original.
    pub equivalent: Option<String>,
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// A test in a net.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Killer {
    pub net: String,
    pub test: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "fault")]
    faults: Vec<Fault>,
}

/// All faults, by file name and then in the order of the file.
pub fn load(root: &Path) -> Result<Vec<Fault>, String> {
    let dir = root.join("verify/faults");
    let entries = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
    paths.sort();
    let mut faults = Vec::new();
    for path in paths {
        let complain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| complain(&error))?;
        faults.extend(parse(&text).map_err(|error| complain(&error))?);
    }
    let mut ids = BTreeSet::new();
    match faults.iter().find(|fault| !ids.insert(fault.id.as_str())) {
        Some(twice) => Err(format!("two faults are called {}", twice.id)),
        None => Ok(faults),
    }
}

fn parse(text: &str) -> Result<Vec<Fault>, String> {
    let File { faults } = toml::from_str(text).map_err(|error| error.to_string())?;
    for fault in &faults {
        if fault.killer.is_some() == fault.equivalent.is_some() {
            return Err(format!("{}: either a killer or a reason why there is none", fault.id));
        }
        if fault.edits.is_empty() {
            return Err(format!("{}: changes nothing", fault.id));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: &str = "[[fault.edit]]\nfile = 'f'\nfind = 'a'\nreplace = 'b'\n";

    #[test]
    fn a_fault_has_a_killer_or_a_reason() {
        let head = "[[fault]]\nid = 'x'\nkind = 'ordering'\nstory = 's'\n";
        let killer = "killer = { net = 'loom', test = 't' }\n";
        let reason = "equivalent = 'r'\n";
        assert_eq!(parse(&format!("{head}{killer}{EDIT}")).unwrap()[0].edits.len(), 1);
        assert_eq!(parse(&format!("{head}{reason}{EDIT}")).unwrap()[0].kind, Kind::Ordering);
        assert!(parse(&format!("{head}{EDIT}")).is_err());
        assert!(parse(&format!("{head}{killer}{reason}{EDIT}")).is_err());
        assert!(parse(&format!("{head}{killer}edit = []\n")).is_err());
    }
}
