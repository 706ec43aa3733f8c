//! Maps beside each other: how fast, and how large.
//!
//! `cargo run --release --manifest-path benches/maps/Cargo.toml` measures and writes `results/maps.md`.

#[path = "../../../examples/map/iter.rs"]
mod iter;
#[allow(dead_code, reason = "not all of it is measured")]
#[path = "../../../examples/map/map.rs"]
mod map;
#[path = "../../../examples/map/node.rs"]
mod node;
mod peers;
mod report;
mod work;

use std::{collections::HashMap, env, error::Error, path::PathBuf, process::Command};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use peers::Who;
use work::{Cell, Outcome};

/// Measures the map of the examples beside those of others, each figure in a process of its own.
#[derive(Parser)]
struct Args {
    /// Measure shortly, and write nothing but to the output
    #[arg(long)]
    quick: bool,
    /// One figure: a cell in JSON, and whose
    #[arg(long, hide = true, num_args = 2)]
    cell: Option<Vec<String>>,
}

/// Of a hundred operations so many look up.
const READS: [u8; 3] = [95, 50, 10];
const THREADS: [usize; 3] = [1, 2, 8];

type Figures = HashMap<(Who, Cell), Vec<Outcome>>;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some([who, cell]) = args.cell.as_deref() {
        let who = Who::from_str(who, true)?;
        let cell: Cell = serde_json::from_str(cell)?;
        println!("{}", serde_json::to_string(&who.visit(cell))?);
        return Ok(());
    }
    let (entries, millis, rounds) = if args.quick { (10_000, 20, 1) } else { (1_000_000, 500, 3) };
    let cells: Vec<_> = READS
        .iter()
        .flat_map(|reads| THREADS.map(|threads| Cell { reads: *reads, threads, entries, millis }))
        .collect();
    let figures = measure(&cells, rounds)?;
    let text = report::report(&cells, &figures);
    println!("{text}");
    if !args.quick {
        let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/maps.md"));
        std::fs::write(&out, text)?;
        println!("Written to {}", out.canonicalize()?.display());
    }
    Ok(())
}

/// All cells of all maps, which take turns.
fn measure(cells: &[Cell], rounds: usize) -> Result<Figures, Box<dyn Error>> {
    let program = env::current_exe()?;
    let bar = ProgressBar::new((rounds * cells.len() * Who::value_variants().len()) as u64);
    bar.set_style(ProgressStyle::with_template("{elapsed:>6} {wide_bar} {pos}/{len}, {eta} left")?);
    let mut figures = Figures::new();
    for _ in 0..rounds {
        for cell in cells {
            for who in Who::value_variants() {
                let name = who.to_possible_value().expect("none is hidden");
                let output = Command::new(&program)
                    .args(["--cell", name.get_name(), &serde_json::to_string(cell)?])
                    .output()?;
                if !output.status.success() {
                    return Err(String::from_utf8_lossy(&output.stderr).into());
                }
                let outcome = serde_json::from_slice(&output.stdout)?;
                figures.entry((*who, *cell)).or_default().push(outcome);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}
