//! A recorded trace: every page table that a kernel allocated and freed for a process tree.
//!
//! Text lines, `#` comments aside: `time_us cpu mm op level table`. The whole file is checked
//! before anything is replayed, so that the replay itself need not doubt its input.

use std::{
    collections::{HashMap, hash_map::Entry},
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

/// No line of a trace comes near this; a binary file without line ends soon passes it.
const LINE_MAX: u64 = 4096;

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

    parse(name(path), input).map_err(|(line, what)| error(line, what))
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

type Refusal = (Option<u64>, String);

fn parse(name: String, mut input: Box<dyn BufRead + '_>) -> Result<Trace, Refusal> {
    let mut reader = Reader::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let at = |what: String| (Some(number), what);
        let read = (&mut input).take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(|e| at(describe(&e)))? == 0 {
            break;
        }
        if line.len() as u64 == LINE_MAX {
            return Err(at("the line is too long for a trace".to_owned()));
        }
        let text = std::str::from_utf8(&line).map_err(|_| at("not text".to_owned()))?;
        reader.line(text).map_err(at)?;
    }
    if reader.events.is_empty() {
        return Err((None, "no events".to_owned()));
    }
    Ok(Trace {
        name,
        events: reader.events,
        mms: reader.mms.len(),
        tables: reader.numbers.len(),
        numbers: reader.numbers,
    })
}

/// What is known of a table while its trace is read.
struct Table {
    id: usize,
    mm: usize,
    level: Level,
    freed: bool,
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    mms: HashMap<u64, usize>,
    tables: HashMap<u64, Table>,
    numbers: Vec<u64>,
}

impl Reader {
    fn line(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let columns: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[time, cpu, mm, op, level, table] = &columns[..] else {
            return Err(format!("{} columns, not 6", columns.len()));
        };
        let time = integer("time", time)?;
        let cpu = integer("cpu", cpu)?;
        let mm_number = integer("mm", mm)?;
        let op = match op {
            "A" => Op::Alloc,
            "F" => Op::Free,
            other => return Err(format!("unknown op {other:?}")),
        };
        let level =
            Level::from_str(level, false).map_err(|_| format!("unknown level {level:?}"))?;
        let number: u64 = integer("table", table)?;

        if let Some(last) = self.events.last()
            && time < last.time
        {
            return Err(format!("time goes backwards, from {} to {time}", last.time));
        }
        let mms = self.mms.len();
        let mm = *self.mms.entry(mm_number).or_insert(mms);
        let table = self.table(op, number, mm, level)?;
        self.events.push(Event { time, cpu, mm, op, level, table });
        Ok(())
    }

    /// The dense number of a table, whose life `op` begins or ends.
    fn table(&mut self, op: Op, number: u64, mm: usize, level: Level) -> Result<usize, String> {
        let id = self.numbers.len();
        match (op, self.tables.entry(number)) {
            (Op::Alloc, Entry::Vacant(entry)) => {
                entry.insert(Table { id, mm, level, freed: false });
                self.numbers.push(number);
                Ok(id)
            }
            (Op::Alloc, Entry::Occupied(_)) => Err(format!("table {number} is allocated twice")),
            (Op::Free, Entry::Vacant(_)) => Err(format!("table {number} was never allocated")),
            (Op::Free, Entry::Occupied(mut entry)) => {
                let table = entry.get_mut();
                if table.freed {
                    return Err(format!("table {number} is freed twice"));
                }
                if (table.mm, table.level) != (mm, level) {
                    return Err(format!("table {number} was allocated for another mm or level"));
                }
                table.freed = true;
                Ok(table.id)
            }
        }
    }
}

fn integer<T: std::str::FromStr>(column: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{column} is {text:?}, not a number that fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace, Refusal> {
        parse("test".to_owned(), Box::new(text.as_bytes()))
    }

    #[track_caller]
    fn refused(text: &str, line: Option<u64>, what: &str) {
        let (at, why) = read(text).unwrap_err();
        assert_eq!((at, why.as_str()), (line, what));
    }

    #[test]
    fn a_good_trace() {
        let trace = read("# a comment\n5 0 7 A pgd 90\r\n\n5 1 7 A pte 4\n9 0 7 F pte 4").unwrap();
        assert_eq!((trace.events.len(), trace.mms, trace.tables), (3, 1, 2));
        let last = trace.events[2];
        assert_eq!((last.time, last.cpu, last.mm, last.table), (9, 0, 0, 1));
        assert_eq!((last.op, last.level), (Op::Free, Level::Pte));
    }

    #[test]
    fn bad_lines() {
        refused("0 0 0 A pte\n", Some(1), "5 columns, not 6");
        refused("0 0 0 A pte 1 2\n", Some(1), "7 columns, not 6");
        refused("# c\n0 0 0 B pte 1\n", Some(2), "unknown op \"B\"");
        refused("0 0 0 A p4d 1\n", Some(1), "unknown level \"p4d\"");
        refused("0 0 0 A PTE 1\n", Some(1), "unknown level \"PTE\"");
        refused("-1 0 0 A pte 1\n", Some(1), "time is \"-1\", not a number that fits");
        refused("0 0 0 A pte one\n", Some(1), "table is \"one\", not a number that fits");
        refused(
            "0 4294967296 0 A pte 1\n",
            Some(1),
            "cpu is \"4294967296\", not a number that fits",
        );
        refused("5 0 0 A pte 1\n4 0 0 A pte 2\n", Some(2), "time goes backwards, from 5 to 4");
        refused(&"x".repeat(5000), Some(1), "the line is too long for a trace");
    }

    #[test]
    fn bad_lives() {
        let table = |rest: &str| format!("0 0 0 A pte 1\n{rest}");
        refused(&table("1 0 0 A pte 1"), Some(2), "table 1 is allocated twice");
        refused(&table("1 0 0 F pte 2"), Some(2), "table 2 was never allocated");
        refused(&table("1 0 0 F pte 1\n2 0 0 F pte 1"), Some(3), "table 1 is freed twice");
        refused(&table("1 0 0 F pte 1\n2 0 0 A pte 1"), Some(3), "table 1 is allocated twice");
        let elsewhere = "table 1 was allocated for another mm or level";
        refused(&table("1 0 1 F pte 1"), Some(2), elsewhere);
        refused(&table("1 0 0 F pmd 1"), Some(2), elsewhere);
    }

    #[test]
    fn nothing_in_it() {
        refused("", None, "no events");
        refused("# only a comment\n\n", None, "no events");
    }

    #[test]
    fn names() {
        for path in ["a/python.trace.gz", "python.trace", "python.gz", "python"] {
            assert_eq!(name(Path::new(path)), "python");
        }
    }
}
