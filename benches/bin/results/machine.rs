//! Where and when the figures were taken.

use std::{fs, process::Command};

use serde::Serialize;

/// The machine, its software, and the day.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) virtual_machine: bool,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) commit: String,
    pub(crate) date: String,
    /// The load average of the last minute before the first measurement.
    pub(crate) load: String,
    pub(crate) versions: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let processor = line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: processor.to_owned(),
            cores: crate::matrix::cores(),
            virtual_machine: cpuinfo.contains(" hypervisor"),
            kernel: output("uname", &["-sr"]),
            rustc: output("rustc", &["--version"]),
            commit: output("git", &["describe", "--always", "--dirty", "--exclude", "*"]),
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            versions: versions(),
        }
    }
}

fn output(program: &str, args: &[&str]) -> String {
    let directory = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(program).args(args).current_dir(directory).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// The versions of the peers, as they are locked.
fn versions() -> Vec<(String, String)> {
    let lock = include_str!("../../../Cargo.lock");
    let of = |name: &str| {
        let entry = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1)?;
        Some((name.to_owned(), entry.split('"').next()?.to_owned()))
    };
    let mut all: Vec<_> = ["ptfrag", "crossbeam-epoch", "sdd", "seize", "mimalloc"]
        .into_iter()
        .filter_map(of)
        .collect();
    for (name, program, args) in [
        ("liburcu", "pkg-config", &["--modversion", "liburcu-memb"][..]),
        ("glibc", "getconf", &["GNU_LIBC_VERSION"][..]),
        ("valgrind", "valgrind", &["--version"][..]),
    ] {
        let version = output(program, args);
        let version = version.trim_start_matches("glibc ").trim_start_matches("valgrind-");
        all.push((name.to_owned(), version.to_owned()));
    }
    all
}
