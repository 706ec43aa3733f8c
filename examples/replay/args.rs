//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::{geometry::Geometry, trace::Level};

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

    /// The length of a grace period in trace time, the same for every policy
    #[arg(long, value_name = "T", default_value_t = 0, conflicts_with = "threads")]
    pub(crate) grace_us: u64,

    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,

    /// Write no pictures; without it, `results/replay-<trace>.svg` is written, whatever the options
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
        match Geometry::new(args.frags, args.frag_size) {
            Ok(geometry) => (args, geometry),
            Err(what) => {
                use clap::CommandFactory;
                Self::command().error(clap::error::ErrorKind::ValueValidation, what).exit()
            }
        }
    }
}
