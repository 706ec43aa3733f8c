//! Why a mutant that no net catches is no fault: `verify/survivors.toml`.

use std::path::Path;

use serde::Deserialize;

use crate::{mutants::Mutant, plant};

/// The reason why some mutants survive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    file: String,
    /// What cargo-mutants says of them, without the place. Several may be the same.
    mutants: Vec<String>,
    /// If it is only some of them: what stands in the lines that they change.
    at: Option<String>,
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "survivor")]
    reasons: Vec<Reason>,
}

/// All of them.
pub fn load(root: &Path) -> Result<Vec<Reason>, String> {
    let name = "verify/survivors.toml";
    let File { reasons } =
        toml::from_str(&plant::read(root, name)?).map_err(|error| format!("{name}: {error}"))?;
    Ok(reasons)
}

impl Reason {
    /// Whether it is about this mutant, whose lines of the source are `source`.
    pub fn is_about(&self, mutant: &Mutant, source: &str) -> bool {
        self.file == mutant.file
            && self.mutants.iter().any(|what| what == mutant.what())
            && self.at.as_ref().is_none_or(|at| source.contains(at))
    }

    /// What of it none of the survivors is: an explanation for nothing.
    pub fn idle(&self, survivors: &[(&Mutant, String)]) -> Vec<String> {
        let covered = |what: &String| {
            survivors.iter().any(|(mutant, source)| {
                mutant.what() == what.as_str() && self.is_about(mutant, source)
            })
        };
        let idle = self.mutants.iter().filter(|what| !covered(what));
        idle.map(|what| format!("{}: {what}", self.file)).collect()
    }
}
