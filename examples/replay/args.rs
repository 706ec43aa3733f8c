//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{geometry::Geometry, trace::Level};

/// The lengths of grace periods that are replayed if none is given: no time at all, those of 10 to 30 ms
/// that kernels have, and one on either side.
const LENGTHS: [u64; 5] = [0, 1_000, 10_000, 30_000, 100_000];

/// Replays recorded page-table traces under four ways of placing tables in pages, the last of them
/// without and with a handle for each CPU.
///
/// Without `--trace` every trace that ships with the project is replayed.
#[derive(Parser)]
#[command(name = "replay")]
pub(crate) struct Args {
    /// A trace, plain or gzip; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Vec<PathBuf>,

    /// Fragments per page: 2, 4, 8 or 16 (s390 always has 2)
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) frags: usize,

    /// Bytes of a fragment: a power of two from 256 to 16384
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    pub(crate) frag_size: usize,

    /// The table levels that live in fragments
    #[arg(long, value_delimiter = ',', default_value = "pte")]
    pub(crate) levels: Vec<Level>,

    /// Lengths of grace periods in microseconds of trace time, with commas or given more than once;
    /// everything is replayed with each
    ///
    /// Grace periods are global and the same for every policy, and follow each other without a gap, as
    /// real ones do: a head that is queued during one waits for its end and for the whole next one.
    /// The large tables and the pictures over time are of the shortest.
    #[arg(
        long,
        value_name = "T",
        value_delimiter = ',',
        default_values_t = LENGTHS,
        conflicts_with = "threads"
    )]
    pub(crate) grace_us: Vec<u64>,

    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,

    /// Write no pictures; without it, `results/replay-<trace>.svg` is written, and with more than one
    /// length of grace periods `results/replay-grace.svg`
    #[arg(long)]
    pub(crate) no_plot: bool,

    /// Replay with one thread per recorded CPU and two threads that walk the tables meanwhile;
    /// grace periods then last as long as they last
    #[arg(long)]
    pub(crate) threads: bool,

    /// Have the threads of the CPUs allocate and free without handles
    #[arg(long, requires = "threads")]
    pub(crate) bare: bool,
}

impl Args {
    /// Reads the command line; ends the program with a usage error where it makes no sense.
    pub(crate) fn read() -> (Self, Geometry) {
        let mut args = Self::parse();
        args.levels.sort();
        args.levels.dedup();
        args.grace_us.sort_unstable();
        if let Some([twice, ..]) = args.grace_us.windows(2).find(|pair| pair[0] == pair[1]) {
            refuse(format!("--grace-us {twice} is given twice"));
        }
        match Geometry::new(args.frags, args.frag_size) {
            Ok(geometry) => (args, geometry),
            Err(what) => refuse(what),
        }
    }
}

/// Ends the program: the options make no sense together.
fn refuse(what: String) -> ! {
    Args::command().error(ErrorKind::ValueValidation, what).exit()
}
