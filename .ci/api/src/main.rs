//! The public face of the crate, a line for each item, and whether `ptfrag.txt` beside this still says so.
//!
//! rustdoc's JSON is not stable: the compiler has to be one whose format the library knows.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Parser;

/// Compares the public face of the crate with the list in the repository.
#[derive(Parser)]
struct Args {
    /// Write the list anew
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = here.join("ptfrag.txt");
    let json = rustdoc(&here.join("../.."))?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(false)
        .omit_auto_derived_impls(true)
        .build()?;
    let now: String = api.items().map(|item| format!("{item}\n")).collect();
    if args.write {
        fs::write(&list, now)?;
        return Ok(true);
    }
    let then = fs::read_to_string(&list)?;
    let [gone, new] = [(&then, &now), (&now, &then)].map(|(one, other)| {
        one.lines().filter(|line| !other.lines().any(|o| o == *line)).collect()
    });
    let [gone, new]: [Vec<&str>; 2] = [gone, new];
    gone.iter().for_each(|line| println!("- {line}"));
    new.iter().for_each(|line| println!("+ {line}"));
    if gone.is_empty() && new.is_empty() {
        return Ok(true);
    }
    eprintln!(
        "the public face has changed: if that is meant, run this with --write, and say so in CHANGELOG.md"
    );
    Ok(false)
}

/// Has rustdoc describe the crate, with all features that docs.rs shows.
fn rustdoc(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = target.join("api");
    let status = Command::new(env!("CARGO"))
        .args([
            "rustdoc",
            "--locked",
            "--lib",
            "--features",
            "check,crossbeam-epoch",
            "--target-dir",
        ])
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .status()?;
    if status.success() {
        Ok(target.join("doc/ptfrag.json"))
    } else {
        Err("rustdoc has failed".into())
    }
}
