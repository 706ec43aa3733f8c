//! Runs the measuring programs.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

use indicatif::{ProgressBar, ProgressStyle};
use ptfrag_benches::{
    job::{Answer, Job, Work},
    who::Geometry,
};

use crate::row::{Malloc, Row};

/// The measuring programs, and what could not be measured.
pub(crate) struct Runner {
    programs: PathBuf,
    notes: Vec<String>,
}

impl Runner {
    /// Builds them, beside this program and with its features.
    pub(crate) fn build() -> Result<Self, Box<dyn Error>> {
        let programs = env::current_exe()?.parent().ok_or("no directory")?.to_owned();
        let target = programs.parent().ok_or("no target directory")?;
        let features: Vec<_> = [
            ("default", cfg!(feature = "default")),
            ("liburcu", cfg!(feature = "liburcu")),
            ("mimalloc", cfg!(feature = "mimalloc")),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect();
        let status =
            cargo_build(target).args(["--bins", "--features"]).arg(features.join(",")).status()?;
        if !status.success() {
            return Err("the measuring programs could not be built".into());
        }
        if env::consts::OS != "linux" {
            return Err("memory is measured through /proc, which only Linux has".into());
        }
        let mut runner = Self { programs, notes: Vec::new() };
        if !cfg!(feature = "mimalloc") {
            runner.note("Built without mimalloc: its rows are left out.".to_owned());
        }
        let liburcu = Job {
            who: ptfrag_benches::who::Who::Liburcu,
            geometry: Geometry::G16x256,
            work: Work::Able,
        };
        if !matches!(runner.run(Malloc::Glibc, liburcu), Some(Answer::Able(true))) {
            runner.note("liburcu is not installed (Debian: liburcu-dev): left out.".to_owned());
        }
        Ok(runner)
    }

    /// The target directory.
    pub(crate) fn target(&self) -> &Path {
        self.programs.parent().unwrap_or(&self.programs)
    }

    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            eprintln!("{note}");
            self.notes.push(note);
        }
    }

    /// What could not be measured.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    pub(crate) fn program(&self, malloc: Malloc) -> PathBuf {
        self.programs.join(match malloc {
            Malloc::Glibc => "measure",
            Malloc::Mimalloc => "measure-mimalloc",
        })
    }

    /// Has a job done. `None`, with a note, if it fails.
    pub(crate) fn run(&mut self, malloc: Malloc, job: Job) -> Option<Answer> {
        self.run_in(self.program(malloc), job)
    }

    /// Has a row's job done.
    pub(crate) fn row(&mut self, row: Row, geometry: Geometry, work: Work) -> Option<Answer> {
        self.run(row.malloc, Job { who: row.who, geometry, work })
    }

    /// Has a row's job done where the heap is counted.
    pub(crate) fn counted(&mut self, row: Row, geometry: Geometry, work: Work) -> Option<Answer> {
        let job = Job { who: row.who, geometry, work };
        self.run_in(self.programs.join("measure-counted"), job)
    }

    /// Builds the program in which cache lines are counted. `None`, with a note, if that fails.
    pub(crate) fn build_counting(&mut self) -> Option<PathBuf> {
        let target = self.target().join("lines");
        let mut build = cargo_build(&target);
        build.args(["--bin", "measure"]).env("RUSTFLAGS", "--cfg ptfrag_lines");
        if build.status().is_ok_and(|status| status.success()) {
            return Some(target.join("release/measure"));
        }
        self.note("The program that counts lines could not be built.".to_owned());
        None
    }

    /// Has a job done by some program. `None`, with a note, if it fails.
    pub(crate) fn run_in(&mut self, program: PathBuf, job: Job) -> Option<Answer> {
        let job = to_json(job);
        let output = Command::new(&program).arg(&job).output();
        let answer = output.map_err(|error| error.to_string()).and_then(|output| {
            if output.status.success() {
                serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
            } else {
                Err(output.status.to_string())
            }
        });
        match answer {
            Ok(answer) => Some(answer),
            Err(what) => {
                self.note(format!("Failed ({what}): `{job}`"));
                None
            }
        }
    }
}

/// Builds measuring programs, with no features but those that are added.
fn cargo_build(target: &Path) -> Command {
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--release", "--no-default-features"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target);
    build
}

pub(crate) fn to_json(job: Job) -> String {
    serde_json::to_string(&job).expect("jobs are plain data")
}

/// A progress bar for so many steps.
pub(crate) fn bar(what: &'static str, steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:14} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is right");
    ProgressBar::new(steps as u64).with_style(style).with_message(what)
}
