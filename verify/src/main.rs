//! Shows that the tests can fail: plants faults in the crate, one at a time, and sees which net
//! catches them.
//!
//! The source tree is never touched. Faults are planted by text substitution in copies of it under
//! `target/verify`, which keep what cargo built, so that each fault costs an incremental build.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

mod clean;
mod faults;
mod hunt;
mod mutants;
mod nets;
mod output;
mod plant;
mod report;
mod run;
mod store;
mod survivors;
mod tree;

use clean::Clean;
use hunt::{Ground, Prey, hunt, tree_dir};
use mutants::Mutant;
use nets::Net;
use report::Findings;
use survivors::Reason;
use tree::{Files, Tree};

/// Plants faults in ptfrag, one at a time, and sees which net catches them.
///
/// What is known of a fault is kept in `target/verify` as long as neither it nor the source
/// changes, so an interrupted run goes on where it was. What is known of a mutant of cargo-mutants
/// is kept as long as the function that it is in does not change, wherever that is, unless it survived
/// for no known reason; `verify/known.jsonl` has what the last report knew.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// Faults that are hunted at the same time, each in a copy of its own.
    #[arg(long, global = true, default_value_t = 2)]
    jobs: usize,
    /// Only those whose name has this in it.
    #[arg(long, global = true)]
    only: Option<String>,
}

#[derive(Subcommand)]
enum What {
    /// Runs the nets once, without a fault.
    Clean,
    /// Hunts the faults written by hand, in `verify/faults`.
    Faults,
    /// Hunts what cargo-mutants makes, and writes `results/mutants.md`.
    Mutants,
    /// Writes `results/verification.md` of what the others found.
    Report,
}

fn main() -> ExitCode {
    match go(&Args::parse()) {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            eprintln!("{} problems:", problems.len());
            problems.iter().for_each(|problem| eprintln!("- {problem}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what it is told, and says what is not as it should be.
fn go(args: &Args) -> Result<Vec<String>, String> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let dir = root.join("target/verify");
    run::end_together()?;
    let files: Files = tree::files(&root)?;
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let _alone = store::lock(&dir)?;
    let tree = Tree::new(tree_dir(&dir, 0), &files)?;
    let source = tree::fingerprint(&files);
    let ground = |clean: &Clean| {
        let (nets, jobs) = (clean.seconds(), args.jobs.max(1));
        Ground { root: &root, dir: &dir, files: &files, nets, jobs }
    };
    let wanted = |id: &str| args.only.as_ref().is_none_or(|only| id.contains(only.as_str()));

    match args.what {
        What::Clean => Clean::get(&dir, &tree, &files).map(|_| Vec::new()),
        What::Faults => {
            let mut faults = faults::load(&root)?;
            faults.retain(|fault| wanted(&fault.id));
            let prey = faults.iter().map(|fault| prey_of_fault(&root, source, fault));
            let prey = prey.collect::<Result<Vec<_>, _>>()?;
            let clean = Clean::get(&dir, &tree, &files)?;
            let killers = prey.iter().filter_map(|prey| prey.killer.as_ref());
            if let Some((net, test)) =
                killers.into_iter().find(|(net, test)| !clean.has(*net, test))
            {
                return Err(format!("{} has no test {test}", net.name()));
            }
            hunt(&ground(&clean), &prey)?;
            Ok(Findings::new(&root, &dir, source)?.faults(&faults)?.problems)
        }
        What::Mutants => {
            let mut mutants = mutants::list(&dir, &files)?;
            let all = mutants.len();
            mutants.retain(|mutant| wanted(mutant.id()));
            let reasons = survivors::load(&root)?;
            let prey = mutants.iter().map(|mutant| prey_of_mutant(&root, mutant, &reasons));
            let prey = prey.collect::<Result<Vec<_>, _>>()?;
            hunt(&ground(&Clean::get(&dir, &tree, &files)?), &prey)?;
            let findings = Findings::new(&root, &dir, source)?;
            if args.only.is_none() {
                return findings.write_mutants(&mutants);
            }
            Ok(findings.mutants(&mutants, all)?.0.problems)
        }
        What::Report => {
            let clean = Clean::get(&dir, &tree, &files)?;
            Findings::new(&root, &dir, source)?.write(&clean, &faults::load(&root)?)
        }
    }
}

fn prey_of_fault(root: &Path, source: u64, fault: &faults::Fault) -> Result<Prey, String> {
    let named = |error: String| format!("{}: {error}", fault.id);
    let planted = plant::plant(root, &fault.edits).map_err(named)?;
    let killer = fault.killer.as_ref().map(|killer| {
        let net = Net::by_name(&killer.net)
            .ok_or_else(|| named(format!("no net is called {}", killer.net)))?;
        Ok::<_, String>((net, killer.test.clone()))
    });
    let excused = fault.equivalent.is_some();
    let key = tree::key(source, &planted);
    Ok(Prey { id: fault.id.clone(), key, planted, killer: killer.transpose()?, excused })
}

fn prey_of_mutant(root: &Path, mutant: &Mutant, reasons: &[Reason]) -> Result<Prey, String> {
    let source = mutant.source(root)?;
    let excused = reasons.iter().any(|reason| reason.is_about(mutant, &source));
    let (id, key, planted) = (mutant.id().to_owned(), mutant.key(root)?, mutant.plant(root)?);
    Ok(Prey { id, key, planted, killer: None, excused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_fits_the_source() {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let faults = faults::load(&root).unwrap();
        assert!(!faults.is_empty());
        let wrong: Vec<_> =
            faults.iter().filter_map(|fault| prey_of_fault(&root, 0, fault).err()).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
