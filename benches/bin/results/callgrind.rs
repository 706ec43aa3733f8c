//! Instructions per pair, counted by callgrind: unlike times, they do not wander.
//!
//! Two runs of different lengths, and the difference: what starting and ending take cancels.

use std::{collections::BTreeMap, fs, process::Command};

use ptfrag_benches::{
    allocator::Sharing,
    job::{Job, Work},
    who::Geometry,
    work::{Order, pair::Pair},
};
use serde::Serialize;

use crate::{
    Effort,
    row::Row,
    runner::{Runner, bar, to_json},
};

/// What is counted.
pub(crate) const CELLS: [(Geometry, Order, usize); 3] = [
    (Geometry::G16x256, Order::Fifo, 64),
    (Geometry::G16x256, Order::Random, 64),
    (Geometry::G2x2048, Order::Fifo, 64),
];

/// Instructions per pair.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Instructions {
    pub(crate) row: Row,
    pub(crate) geometry: Geometry,
    pub(crate) order: Order,
    pub(crate) live: usize,
    pub(crate) per_pair: Option<f64>,
}

/// Instructions per pair of the bare path, by the source files that they were compiled from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sources {
    pub(crate) geometry: Geometry,
    pub(crate) order: Order,
    pub(crate) live: usize,
    pub(crate) files: BTreeMap<String, f64>,
}

const SHORT: u64 = 8_000;
const LONG: u64 = 24_000;

/// Counts for everybody, with one thread.
pub(crate) fn instructions(runner: &mut Runner, effort: Effort) -> Vec<Instructions> {
    if !available(runner) {
        return Vec::new();
    }
    let cells = if effort.quick { &CELLS[1..2] } else { &CELLS[..] };
    let rows: Vec<_> =
        cells.iter().flat_map(|&cell| Row::all(cell.0).map(move |row| (row, cell))).collect();
    let progress = bar("instructions", rows.len());
    let count = |(row, cell): (Row, (Geometry, Order, usize))| {
        progress.inc(1);
        let (geometry, order, live) = cell;
        let total = |files: BTreeMap<String, f64>| files.values().sum();
        let per_pair = difference(runner, row, cell).map(total);
        Instructions { row, geometry, order, live, per_pair }
    };
    let all = rows.into_iter().map(count).collect();
    progress.finish_and_clear();
    eprintln!("instructions: {:.0} s", progress.elapsed().as_secs_f64());
    all
}

/// Counts the bare path, by source file.
pub(crate) fn sources(runner: &mut Runner, effort: Effort) -> Vec<Sources> {
    if !available(runner) {
        return Vec::new();
    }
    let cells = if effort.quick { &CELLS[1..2] } else { &CELLS[..] };
    cells
        .iter()
        .filter_map(|&cell| {
            let (geometry, order, live) = cell;
            let files = difference(runner, Row::BARE, cell)?;
            Some(Sources { geometry, order, live, files })
        })
        .collect()
}

fn available(runner: &mut Runner) -> bool {
    let found = Command::new("valgrind").arg("--version").output().is_ok();
    if !found {
        runner.note("valgrind is not installed: no instruction counts.".to_owned());
    }
    found
}

/// Instructions per pair by source file, start and end cancelled.
fn difference(
    runner: &mut Runner,
    row: Row,
    cell: (Geometry, Order, usize),
) -> Option<BTreeMap<String, f64>> {
    let short = count(runner, row, cell, SHORT)?;
    let mut long = count(runner, row, cell, LONG)?;
    for (file, cost) in short {
        *long.entry(file).or_default() -= cost;
    }
    // The pairs that warm up are a quarter more.
    let pairs = (LONG - SHORT) as f64 * 1.25;
    let mut files = BTreeMap::<String, f64>::new();
    for (file, cost) in long.into_iter().filter(|&(_, cost)| cost.abs() >= pairs / 1000.0) {
        *files.entry(shortened(&file)).or_default() += cost / pairs;
    }
    Some(files)
}

/// A source file without what only says where this machine keeps it.
fn shortened(file: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let root = fs::canonicalize(root).map(|root| root.display().to_string()).unwrap_or_default();
    let behind = |mark: &str| Some(file.split_once(mark)?.1.split_once('/')?.1);
    if let Some(rest) = behind("/registry/src/") {
        format!("/registry/{rest}")
    } else if let Some(rest) = behind("/rustc/") {
        format!("/rustc/{rest}")
    } else {
        file.strip_prefix(root.as_str()).unwrap_or(file).to_owned()
    }
}

fn count(
    runner: &mut Runner,
    row: Row,
    (geometry, order, live): (Geometry, Order, usize),
    pairs: u64,
) -> Option<BTreeMap<String, f64>> {
    let pair = Pair { order, live, threads: 1, sharing: Sharing::OneMm, pairs };
    let job = to_json(Job { who: row.who, geometry, work: Work::Pair(pair) });
    let out = runner.target().join(format!("callgrind-{}.out", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(runner.program(row.malloc))
        .arg(&job)
        .output();
    let text = fs::read_to_string(&out);
    // It is a file of our own under the target directory; if it stays, nothing is lost.
    drop(fs::remove_file(&out));
    match (status, text) {
        (Ok(output), Ok(text)) if output.status.success() => Some(by_file(&text)),
        _ => {
            runner.note(format!("callgrind failed: `{job}`"));
            None
        }
    }
}

/// Adds up the costs by source file. Inlined code counts for the file that it came from.
fn by_file(text: &str) -> BTreeMap<String, f64> {
    let mut files = BTreeMap::<String, f64>::new();
    let mut file = String::new();
    let mut called = false;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = value.to_owned(),
                // The next line has the cost of what is called, which stands by itself too.
                "calls" => called = true,
                _ => {}
            }
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            if std::mem::take(&mut called) {
                continue;
            }
            if let Some(cost) = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok()) {
                *files.entry(file.clone()).or_default() += cost;
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_without_the_machine() {
        assert_eq!(
            shortened("/home/x/.cargo/registry/src/host-1a/a-1.0/src/b.rs"),
            "/registry/a-1.0/src/b.rs"
        );
        assert_eq!(
            shortened("/rustc/0123abc/library/core/src/mem.rs"),
            "/rustc/library/core/src/mem.rs"
        );
        let own = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/slot.rs")).unwrap();
        assert_eq!(shortened(&own.display().to_string()), "/src/slot.rs");
        assert_eq!(shortened("./string/strlen.c"), "./string/strlen.c");
    }

    #[test]
    fn costs_go_to_their_files() {
        let text = "events: Ir\nfl=a.rs\nfn=f\n10 5\n+1 2\nfi=b.rs\n7 100\nfe=a.rs\n12 1\n\
                    cfn=g\ncalls=3 20\n12 999\n\nfl=c.rs\nfn=g\n20 4\ntotals: 112\n";
        let files = by_file(text);
        assert_eq!(files["a.rs"], 8.0);
        assert_eq!(files["b.rs"], 100.0);
        assert_eq!(files["c.rs"], 4.0);
    }
}
