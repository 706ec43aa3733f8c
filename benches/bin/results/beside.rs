//! Pairs on one thread beside others.

use std::fmt;

use ptfrag_benches::{
    job::{Answer, Work},
    who::Geometry,
    work::beside::{Beside, Besides, Others},
};
use serde::Serialize;

use crate::{
    Effort,
    matrix::hundredths,
    row::Row,
    runner::{Runner, bar},
    stats::{ratio, summary},
    tables::{digits, spread, table},
};

/// Who is there: what they do, how many, and what a pair takes at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Company {
    others: Others,
    threads: usize,
    pace: u32,
}

const fn company(others: Others, threads: usize) -> Company {
    Company { others, threads, pace: 0 }
}

/// The first one is nobody, with whom the others are compared.
const QUIET: [Company; 6] = [
    company(Others::Asleep, 0),
    company(Others::Asleep, 64),
    company(Others::Asleep, 256),
    company(Others::Asleep, 1024),
    company(Others::Asleep, 4096),
    company(Others::Ended, 3000),
];

/// As fast as can be, and as fast as everybody can.
const BUSY: [Company; 4] = [
    company(Others::Busy, 1),
    company(Others::Busy, 4),
    Company { others: Others::Busy, threads: 1, pace: 1000 },
    Company { others: Others::Busy, threads: 4, pace: 1000 },
];

/// Who is measured: what a program could use, and with its own sections.
fn rows() -> impl Iterator<Item = Row> {
    Row::under_glibc(Geometry::G16x256)
        .filter(|row| row.is_peer() || *row == Row::SECTION || *row == Row::BARE)
}

/// What a row took in one company, round by round: nanoseconds for a pair, and KiB that were out at the peak.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InCompany {
    row: Row,
    company: Company,
    ns: Vec<Option<f64>>,
    peak: Vec<Option<f64>>,
}

/// Measures the rows in turn.
pub(crate) fn beside(runner: &mut Runner, effort: Effort) -> Vec<InCompany> {
    let mut all = Vec::new();
    for company in QUIET.into_iter().chain(BUSY) {
        all.extend(rows().map(|row| InCompany { row, company, ns: Vec::new(), peak: Vec::new() }));
    }
    let rounds = if effort.quick { 1 } else { 5 };
    let progress = bar("beside", rounds * all.len());
    for _ in 0..rounds {
        for InCompany { row, company, ns, peak } in &mut all {
            let Company { others, threads, pace } = *company;
            let pairs = match (effort.quick, others) {
                (true, _) => 20_000,
                (false, Others::Busy) => 2_000_000,
                (false, _) => 200_000,
            };
            let work = Work::Beside(Beside { others, threads, pairs, pace });
            let besides = match runner.row(*row, Geometry::G16x256, work) {
                Some(Answer::Besides(besides)) => Some(besides),
                _ => None,
            };
            let each = |besides: Besides| besides.total.as_nanos() as f64 / f64::from(pairs);
            ns.push(besides.map(each).map(hundredths));
            peak.push(besides.map(|besides| besides.peak as f64 / 1024.0));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    all
}

impl fmt::Display for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { others, threads, pace } = *self;
        match others {
            Others::Asleep if threads == 0 => f.write_str("nobody"),
            Others::Asleep => write!(f, "{threads} asleep"),
            Others::Ended => write!(f, "{threads} ended"),
            Others::Busy if pace == 0 => write!(f, "{threads} busy"),
            Others::Busy => write!(f, "{threads} busy, a pair each {pace} ns"),
        }
    }
}

fn find(all: &[InCompany], row: Row, company: Company) -> Option<&InCompany> {
    all.iter().find(|one| (one.row, one.company) == (row, company))
}

/// What a pair takes beside those who do nothing.
pub(crate) fn quiet(all: &[InCompany]) -> String {
    in_company("ns a pair, beside", &QUIET, all, |one| {
        let alone = find(all, one.row, QUIET[0]).filter(|alone| alone.company != one.company);
        match alone.and_then(|alone| ratio(&one.ns, &alone.ns)) {
            Some(times) => format!("{}, x{}", spread(summary(&one.ns)), digits(times.median)),
            None => spread(summary(&one.ns)),
        }
    })
}

/// What a pair takes beside those who are never quiet, and what is out at the peak.
pub(crate) fn busy(all: &[InCompany]) -> String {
    in_company("beside", &BUSY, all, |one| {
        format!("{} ns, {} KiB", spread(summary(&one.ns)), spread(summary(&one.peak)))
    })
}

/// A column for each company.
fn in_company(
    corner: &str,
    companies: &[Company],
    all: &[InCompany],
    cell: impl Fn(&InCompany) -> String,
) -> String {
    let lines = rows().map(|row| {
        let cells = companies.iter().map(|company| {
            find(all, row, *company).map_or_else(|| "not measured".to_owned(), &cell)
        });
        std::iter::once(row.to_string()).chain(cells).collect()
    });
    let names: Vec<_> = companies.iter().map(ToString::to_string).collect();
    let header: Vec<_> = std::iter::once(corner).chain(names.iter().map(String::as_str)).collect();
    table(&header, lines)
}
