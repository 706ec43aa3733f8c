//! Markdown tables.

use std::collections::BTreeMap;

use ptfrag_benches::{
    allocator::Sharing,
    who::Geometry,
    work::{Order, latency::Quantiles},
};

use crate::{
    callgrind::{CELLS, Instructions, Sources},
    matrix::{ORDERS, SHARES, Samples, THREADS},
    row::Row,
    series::Series,
    stats::{Summary, ratio, summary},
};

/// A table in markdown.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<_> = header.iter().map(|&cell| cell.to_owned()).collect();
    let rule = vec!["---".to_owned(); header.len()];
    let rows = rows.into_iter().map(|row| line(&row));
    [line(&header), line(&rule)].into_iter().chain(rows).collect()
}

/// A number with three digits, or more before the point.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A median and its spread.
pub(crate) fn spread(summary: Option<Summary>) -> String {
    summary.map_or_else(
        || "failed".to_owned(),
        |Summary { median, min, max }| {
            format!("{} ({}-{})", digits(median), digits(min), digits(max))
        },
    )
}

/// A column's name.
pub(crate) fn order_name(order: Order, live: usize) -> String {
    match live {
        1 => "live 1".to_owned(),
        _ => format!("{order}, live {live}"),
    }
}

/// The name of so many threads.
pub(crate) fn threads_name(threads: usize, sharing: Sharing) -> String {
    match (threads, sharing) {
        (1, _) => "1 thread".to_owned(),
        (n, Sharing::OneMm) if n > crate::matrix::cores() => {
            format!("{n} threads, more than there are cores")
        }
        (n, Sharing::OneMm) => format!("{n} threads on one mm"),
        (n, _) => format!("{n} threads on two mms"),
    }
}

/// What a row took in a cell.
pub(crate) fn find(
    all: &[Samples],
    row: Row,
    geometry: Geometry,
    (order, live): (Order, usize),
    (threads, sharing): (usize, Sharing),
) -> Option<&Samples> {
    all.iter().find(|samples| {
        let cell = samples.cell;
        samples.row == row
            && cell.geometry == geometry
            && (cell.order, cell.live) == (order, live)
            && (cell.threads, cell.sharing) == (threads, sharing)
    })
}

/// The fastest peer in each cell against ours.
pub(crate) fn standing(all: &[Samples], row_of_ours: Row) -> Standing {
    let mut rows = Vec::new();
    let (mut won, mut cells) = (0, 0);
    for geometry in Geometry::ALL {
        for threads in THREADS {
            if threads.1 != Sharing::OneMm {
                continue;
            }
            let mut row = vec![geometry.to_string(), threads_name(threads.0, threads.1)];
            for order in ORDERS {
                let ours = find(all, row_of_ours, geometry, order, threads);
                let ours = ours.and_then(|ours| Some((ours, summary(&ours.ns)?)));
                let peers = Row::all(geometry).filter(|row| row.is_peer());
                let best = peers
                    .filter_map(|row| {
                        let peer = find(all, row, geometry, order, threads)?;
                        Some((peer, summary(&peer.ns)?))
                    })
                    .min_by(|a, b| a.1.median.total_cmp(&b.1.median));
                row.push(match (ours, best) {
                    (Some((ours, mine)), Some((peer, theirs))) => {
                        let times = ratio(&ours.ns, &peer.ns).map_or(f64::NAN, |r| r.median);
                        cells += 1;
                        won += usize::from(times < 1.0);
                        let (mine, theirs) = (digits(mine.median), digits(theirs.median));
                        let verdict = if times < 1.0 { "**" } else { "" };
                        let times = format!("{verdict}x{times:.2}{verdict}");
                        format!("{mine} : {theirs} {} = {times}", peer.row)
                    }
                    _ => "failed".to_owned(),
                });
            }
            rows.push(row);
        }
    }
    let orders = ORDERS.map(|(order, live)| order_name(order, live));
    let mut header = vec!["blocks", "threads"];
    header.extend(orders.iter().map(String::as_str));
    let won =
        format!("`{row_of_ours}` is cheaper than every peer in {won} of {cells} cells of pairs.");
    Standing { won, table: table(&header, rows) }
}

/// How ptfrag stands beside its peers.
pub(crate) struct Standing {
    /// In how many cells it is ahead.
    pub(crate) won: String,
    pub(crate) table: String,
}

/// All figures of the pair workload.
pub(crate) fn pairs(all: &[Samples]) -> String {
    let mut text = String::new();
    for geometry in Geometry::ALL {
        for threads in THREADS {
            let title = threads_name(threads.0, threads.1);
            text += &format!("### {geometry} bytes, {title}\n\n");
            let rows = Row::all(geometry).filter_map(|row| {
                let mut cells = vec![row.to_string()];
                for order in ORDERS {
                    let samples = find(all, row, geometry, order, threads)?;
                    let ours = find(all, Row::OURS, geometry, order, threads)?;
                    let times = match ratio(&samples.ns, &ours.ns) {
                        Some(times) if row != Row::OURS => format!(" x{:.2}", times.median),
                        _ => String::new(),
                    };
                    cells.push(spread(summary(&samples.ns)) + &times);
                }
                Some(cells)
            });
            let orders = ORDERS.map(|(order, live)| order_name(order, live));
            let mut header = vec!["ns per pair"];
            header.extend(orders.iter().map(String::as_str));
            text += &table(&header, rows.collect::<Vec<_>>());
            text += "\n";
        }
    }
    text
}

/// What two threads of the bare path cost as they share less and less.
pub(crate) fn sharing(all: &[Samples]) -> String {
    let rows = all.chunks(SHARES.len()).map(|cells| {
        let cell = cells[0].cell;
        let mut row = vec![format!("{}, {}", cell.geometry, order_name(cell.order, cell.live))];
        row.extend(cells.iter().map(|samples| spread(summary(&samples.ns))));
        row
    });
    let header = [
        "ns per pair",
        "1 thread",
        "the same, pages stay warm",
        "2 threads, one mm",
        "the same, pages stay warm",
        "2 threads, two mms",
        "and two page sources",
        "and two domains",
    ];
    table(&header, rows)
}

/// A table with a column per geometry, of a figure that every round has.
pub(crate) fn by_geometry<T>(what: &str, all: &[Series<T>], figure: impl Fn(&T) -> f64) -> String {
    let mut geometries: Vec<_> = all.iter().map(|series| series.geometry).collect();
    geometries.sort();
    geometries.dedup();
    let samples = |row: Row, geometry| -> Option<Vec<Option<f64>>> {
        let found = |series: &&Series<T>| (series.row, series.geometry) == (row, geometry);
        let series = all.iter().find(found)?;
        Some(series.rounds.iter().map(|round| round.as_ref().map(&figure)).collect())
    };
    let mut rows: Vec<Row> = Vec::new();
    for series in all {
        if !rows.contains(&series.row) {
            rows.push(series.row);
        }
    }
    rows.sort_by_key(|row| row.who);
    let rows = rows.into_iter().map(|row| {
        let mut cells = vec![row.to_string()];
        for &geometry in &geometries {
            cells.push(match (samples(row, geometry), samples(Row::OURS, geometry)) {
                (Some(mine), Some(ours)) => {
                    let times = match ratio(&mine, &ours) {
                        Some(times) if row != Row::OURS => format!(" x{:.2}", times.median),
                        _ => String::new(),
                    };
                    spread(summary(&mine)) + &times
                }
                _ => String::new(),
            });
        }
        cells
    });
    let names: Vec<_> = geometries.iter().map(Geometry::to_string).collect();
    let mut header = vec![what];
    header.extend(names.iter().map(String::as_str));
    table(&header, rows.collect::<Vec<_>>())
}

/// The median over the rounds of a quantile.
pub(crate) fn quantile(rounds: impl Iterator<Item = f64>) -> Option<f64> {
    Summary::of(rounds).map(|summary| summary.median)
}

/// The value at a fraction that was recorded.
pub(crate) fn at(quantiles: &Quantiles, fraction: f64) -> f64 {
    let found = quantiles.iter().find(|(at, _)| *at == fraction);
    found.map_or(f64::NAN, |&(_, value)| value as f64)
}

/// Instructions per pair.
pub(crate) fn instructions(all: &[Instructions]) -> String {
    let cells: Vec<_> = CELLS
        .into_iter()
        .filter(|&(geometry, order, live)| {
            let found = |i: &Instructions| (i.geometry, i.order, i.live) == (geometry, order, live);
            all.iter().any(found)
        })
        .collect();
    let of = |row, (geometry, order, live)| {
        let found = |i: &&Instructions| {
            (i.row, i.geometry, i.order, i.live) == (row, geometry, order, live)
        };
        all.iter().find(found).and_then(|i| i.per_pair)
    };
    let rows = Row::all(Geometry::G2x2048).map(|row| {
        let mut line = vec![row.to_string()];
        line.extend(cells.iter().map(|&cell| of(row, cell).map(digits).unwrap_or_default()));
        line
    });
    let name = |&(geometry, order, live): &(Geometry, Order, usize)| {
        format!("{geometry}, {}", order_name(order, live))
    };
    let names: Vec<_> = cells.iter().map(name).collect();
    let mut header = vec!["instructions per pair"];
    header.extend(names.iter().map(String::as_str));
    table(&header, rows)
}

/// Instructions per pair of the bare path, by what they are for.
pub(crate) fn sources(all: &[Sources]) -> String {
    if all.is_empty() {
        return "valgrind is not installed: not counted.\n".to_owned();
    }
    let group = |file: &str| {
        let inside = file.split_once("/src/").map(|(_, rest)| rest).unwrap_or(file);
        let known = [
            ("builtin/domain/", "the built-in RCU (`builtin/domain/`)"),
            ("builtin/region/", "the page source (`builtin/region/`)"),
            ("builtin/spin.rs", "the lock (`builtin/spin.rs`)"),
            ("page/", "the page word (`page/`)"),
            ("mm/list.rs", "the partial list (`mm/list.rs`)"),
        ];
        let ours = file.contains("/src/")
            && !file.contains("/registry/")
            && !file.contains("rustc")
            && !file.contains("library");
        match known.iter().find(|(prefix, _)| ours && inside.starts_with(prefix)) {
            Some((_, name)) => *name,
            None if file.contains("/benches/") || file.contains("fastrand") => "the workload",
            None if file.contains("atomic") => "atomic operations, whosever",
            None if ours => {
                "taking and freeing (`mm/take.rs`, `free.rs`, `apply.rs`, `head.rs`, ...)"
            }
            None => "the libraries of Rust and C, whosever",
        }
    };
    let mut names: Vec<&str> = Vec::new();
    let sums: Vec<_> = all
        .iter()
        .map(|sources| {
            let mut sums = BTreeMap::<&str, f64>::new();
            for (file, cost) in &sources.files {
                *sums.entry(group(file)).or_default() += cost;
            }
            names.extend(sums.keys());
            sums
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    let rows = names.iter().map(|name| {
        let mut row = vec![(*name).to_owned()];
        row.extend(sums.iter().map(|sums| digits(sums.get(name).copied().unwrap_or(0.0))));
        row
    });
    let name = |s: &Sources| format!("{}, {} {}", s.geometry, s.order, s.live);
    let columns: Vec<_> = all.iter().map(name).collect();
    let mut header = vec!["instructions per pair"];
    header.extend(columns.iter().map(String::as_str));
    table(&header, rows)
}
