//! Tables.

use std::fmt::Write as _;

use clap::ValueEnum;

use crate::{
    Figures,
    peers::Who,
    work::{Cell, Outcome},
};

/// The page.
pub fn report(cells: &[Cell], figures: &Figures) -> String {
    let mut text = String::from(
        "# Maps\n\n`cargo run --release --manifest-path benches/maps/Cargo.toml` writes this file.\n\n",
    );
    let Some(any) = cells.first() else { return text };
    let _ = write!(
        text,
        "The map of [`examples/map`](../examples/map) beside others: {} entries of 16 bytes, of twice as many keys. Of a \
         hundred operations so many look a key up; the others insert (or replace) and remove, one as often as the other. \
         Each figure is the median of {} processes, of which each runs for {} ms, with its lowest and highest; the maps took \
         turns. {}\n",
        any.entries,
        figures.values().map(Vec::len).max().unwrap_or(0),
        any.millis,
        machine(),
    );
    table(&mut text, "Millions of operations in a second", cells, figures, |outcome| outcome.rate);
    let p999 =
        "Nanoseconds that one operation in a thousand takes longer than (one in 32 is timed)";
    table(&mut text, p999, cells, figures, |outcome| outcome.p999);
    memory(&mut text, figures);
    text
}

fn table(
    text: &mut String,
    title: &str,
    cells: &[Cell],
    figures: &Figures,
    of: impl Fn(&Outcome) -> f64 + Copy,
) {
    let heads = cells.iter().map(|cell| format!("{} %, {}", cell.reads, cell.threads));
    let _ = write!(
        text,
        "\n## {title}\n\n| look-ups, threads | {} |\n| --- |{}\n",
        heads.collect::<Vec<_>>().join(" | "),
        " ---: |".repeat(cells.len())
    );
    for who in Who::value_variants() {
        let row = cells.iter().map(|cell| {
            let values = figures.get(&(*who, *cell)).into_iter().flatten().map(of);
            spread(values.collect())
        });
        let _ = writeln!(text, "| {} | {} |", who.name(), row.collect::<Vec<_>>().join(" | "));
    }
}

fn memory(text: &mut String, figures: &Figures) {
    text.push_str(
        "\n## Memory\n\nWhat the process has more than before there was a map: for each entry when all are in, and when all \
         have been removed again after the work.\n\n| | bytes an entry | MiB left |\n| --- | ---: | ---: |\n",
    );
    for who in Who::value_variants() {
        let all = figures.iter().filter(|((other, _), _)| other == who);
        let all: Vec<_> = all.flat_map(|(_, outcomes)| outcomes).collect();
        let entry = spread(all.iter().map(|outcome| outcome.entry).collect());
        let left = spread(all.iter().map(|outcome| outcome.left).collect());
        let _ = writeln!(text, "| {} | {entry} | {left} |", who.name());
    }
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let [Some(low), Some(high)] = [values.first(), values.last()] else { return "-".into() };
    let middle = values[values.len() / 2];
    format!("**{}** ({} to {})", figure(middle), figure(*low), figure(*high))
}

fn figure(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = name.map_or("an unknown processor", |(_, name)| name);
    let date = std::process::Command::new("date").arg("+%-d %B %Y").env("LC_ALL", "C").output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("{name}, {cores} cores, {}.", date.unwrap_or_default())
}
