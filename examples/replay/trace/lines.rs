//! The lines of a trace, and whether they make sense together.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{BufRead, Read},
};

use clap::ValueEnum;

use super::{Event, Level, Op, Trace, describe};

/// No line of a trace comes near this; a binary file without line ends soon passes it.
const LINE_MAX: u64 = 4096;

/// Why a trace is refused, and on which line if on one.
pub(super) type Refusal = (Option<u64>, String);

/// Reads a whole trace.
pub(super) fn parse(name: String, mut input: Box<dyn BufRead + '_>) -> Result<Trace, Refusal> {
    let mut reader = Reader::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        number += 1;
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
        return Err((Some(number), "no events".to_owned()));
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

        let last = self.events.last().map_or(0, |last| last.time);
        if time < last {
            return Err(format!("time goes backwards, from {last} to {time}"));
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
        refused("", Some(1), "no events");
        refused("# only a comment\n\n", Some(3), "no events");
    }
}
