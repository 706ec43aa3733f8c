//! Cache lines that go from processor to processor, for more threads than there are cores here.

use ptfrag_benches::{
    job::{Answer, Job, Work},
    who::Geometry,
    work::{
        lines::{Lines, Way},
        parts::Part,
    },
};
use serde::Serialize;

use crate::{
    Effort,
    profile::PartSamples,
    row::Row,
    runner::{Runner, bar},
    stats::summary,
    tables::{digits, table},
};

const GEOMETRIES: [Geometry; 2] = [Geometry::G16x256, Geometry::G2x2048];
const THREADS: [usize; 6] = [1, 2, 4, 8, 16, 128];
const WAYS: [(Way, &str); 4] = [
    (Way::OneLane, "one lane"),
    (Way::FourLanes, "4 lanes"),
    (Way::SixteenLanes, "16 lanes"),
    (Way::Handles, "handles"),
];

/// What was counted.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Count {
    geometry: Geometry,
    threads: usize,
    way: Way,
    per_pair: Option<f64>,
}

/// Counts.
pub(crate) fn lines(runner: &mut Runner, effort: Effort) -> Vec<Count> {
    let pairs = if effort.quick { 2_000 } else { 40_000 };
    let Some(program) = runner.build_counting() else { return Vec::new() };
    let progress = bar("lines", GEOMETRIES.len() * THREADS.len() * WAYS.len());
    let mut all = Vec::new();
    for geometry in GEOMETRIES {
        for threads in THREADS {
            for (way, _) in WAYS {
                let work = Work::Lines(Lines { threads, way, live: 64, pairs });
                let job = Job { who: Row::BARE.who, geometry, work };
                let per_pair = match runner.run_in(program.clone(), job) {
                    Some(Answer::Moved(moved)) => Some(moved.lines),
                    _ => None,
                };
                all.push(Count { geometry, threads, way, per_pair });
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    all
}

/// The table: a row for each number of threads.
pub(crate) fn counted(all: &[Count]) -> String {
    let rows = all.chunks(WAYS.len()).map(|ways| {
        let mut row = vec![ways[0].geometry.to_string(), ways[0].threads.to_string()];
        let figure = |count: &Count| count.per_pair.map_or_else(|| "failed".to_owned(), digits);
        row.extend(ways.iter().map(figure));
        row
    });
    let header: Vec<_> = ["lines per pair", "threads"]
        .into_iter()
        .chain(WAYS.iter().map(|&(_, name)| name))
        .collect();
    table(&header, rows)
}

/// What follows for more processors than there are here, with the arithmetic.
pub(crate) fn many_processors(all: &[Count], parts: &[PartSamples]) -> String {
    let part = |part: Part, threads: usize| {
        let samples = parts.iter().find(|one| (one.part, one.threads) == (part, threads))?;
        Some(summary(&samples.ns)?.median)
    };
    let count = |threads: usize, way: Way| {
        let wanted = (Geometry::G16x256, threads, way);
        all.iter().find(|one| (one.geometry, one.threads, one.way) == wanted)?.per_pair
    };
    let text = || {
        let line = (part(Part::CasShared, 2)? - part(Part::CasOwn, 1)?) / 2.0;
        let [one, lanes, handles] =
            [Way::OneLane, Way::SixteenLanes, Way::Handles].map(|way| count(16, way));
        let (one, lanes, handles) = (one?, lanes?, handles?);
        let [one_ns, lanes_ns, handles_ns] = [one, lanes, handles].map(|lines| lines * line);
        let most = 1000.0 / (2.0 * line);
        let [line, one, one_ns, lanes, lanes_ns, handles, handles_ns, most, lanes_most] =
            [line, one, one_ns, lanes, lanes_ns, handles, handles_ns, most, 16.0 * most]
                .map(digits);
        Some(format!(
            "A line that has to be fetched costs {line} ns here (`cas-shared` with two threads less `cas-own`, for \
             each of the two exchanges). With 16 processors a pair of 16x256 fetches {one} lines in one lane, \
             {one_ns} ns of waiting; in 16 lanes {lanes}, {lanes_ns} ns; through handles {handles}, {handles_ns} ns. \
             In one lane that is not all: both exchanges of a pair are on the word of the page on which all meet, one \
             processor after the other, so all of them together make at most one pair in two fetches, {most} million \
             in a second, however many they are, 16 or 128. Each lane has a word of its own: with 16 the bound is \
             {lanes_most} million. So 16 processors in 16 lanes do not reach it; 128 in 16 lanes are eight to a \
             lane, and wait for each other as eight do in one: an mm that so many processors take from at once wants \
             as many lanes, or handles.\n"
        ))
    };
    text().unwrap_or_else(|| "Not counted.\n".to_owned())
}
