//! A recorded trace: every page table that a kernel allocated and freed for a process tree.
//!
//! Text lines, `#` comments aside: `time_us cpu mm op level table`. The whole file is checked
//! before anything is replayed, so that the replay itself need not doubt its input.

mod lines;

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use flate2::bufread::MultiGzDecoder;

/// Whether a table was allocated or freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Alloc,
    Free,
}

/// The level of a page table, leaf first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    Pte,
    Pmd,
    Pud,
    Pgd,
}

/// One line of a trace, with mms and tables numbered densely from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) time: u64,
    pub(crate) cpu: u32,
    pub(crate) mm: usize,
    pub(crate) op: Op,
    pub(crate) level: Level,
    pub(crate) table: usize,
}

/// A whole trace.
///
/// # Invariants
/// - `events` is not empty, and its times never go backwards.
/// - A table has one `Alloc` and at most one `Free`, in this order, of the same mm and level.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) events: Vec<Event>,
    /// How many mms there are.
    pub(crate) mms: usize,
    /// How many tables there are.
    pub(crate) tables: usize,
    /// The numbers by which the file calls them.
    pub(crate) numbers: Vec<u64>,
}

/// Why a trace was refused; prints as one line.
#[derive(Debug)]
pub(crate) struct TraceError {
    path: PathBuf,
    line: Option<u64>,
    what: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string_lossy();
        write!(f, "{}:", path.escape_debug())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.what)
    }
}

/// Reads the trace in `path`, plain or gzip.
pub(crate) fn load(path: &Path) -> Result<Trace, TraceError> {
    let error = |line, what: String| TraceError { path: path.to_owned(), line, what };
    let io_error = |e: io::Error| error(None, describe(&e));

    let mut file = File::open(path).map_err(io_error)?;
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(io_error)?;
    let gzip = magic == [0x1f, 0x8b];
    let input = BufReader::new(Cursor::new(magic).chain(file));
    let input: Box<dyn BufRead> =
        if gzip { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) };

    lines::parse(name(path), input).map_err(|(line, what)| error(line, what))
}

/// The name by which a trace is reported: its file's, without the endings.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.strip_suffix(".trace").unwrap_or(name).to_owned()
}

/// What an I/O error means here, in words.
fn describe(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::UnexpectedEof => "the gzip data end too early".to_owned(),
        _ => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for path in ["a/python.trace.gz", "python.trace", "python.gz", "python"] {
            assert_eq!(name(Path::new(path)), "python");
        }
    }
}
