//! The files that everything goes into.

use std::{error::Error, fs, path::Path};

use clap::ValueEnum;
use ptfrag_benches::work::{latency::Latencies, stalled::Course};
use serde::Serialize;

use crate::{
    beside::{busy, quiet},
    everything::Everything,
    glance::glance,
    lines::{counted, many_processors},
    machine::Machine,
    plots,
    row::Row,
    series::STALL_RATE,
    stats::{Summary, summary},
    tables::{self, at, by_geometry, digits, quantile, spread, table},
    unseen::given_back,
};

/// The pages, by name.
const PAGES: [(&str, &str); 11] = [
    ("README", include_str!("pages/README.md")),
    ("method", include_str!("pages/method.md")),
    ("pairs", include_str!("pages/pairs.md")),
    ("unseen", include_str!("pages/unseen.md")),
    ("beside", include_str!("pages/beside.md")),
    ("crossing", include_str!("pages/crossing.md")),
    ("bursts", include_str!("pages/bursts.md")),
    ("stalled-reader", include_str!("pages/stalled-reader.md")),
    ("latencies", include_str!("pages/latencies.md")),
    ("instructions", include_str!("pages/instructions.md")),
    ("profile", include_str!("pages/profile.md")),
];

/// The page about the domain, which can be written alone.
const DOMAIN: &str = include_str!("pages/domain.md");

/// One file of raw figures.
#[derive(Serialize)]
struct Raw<'a, T: Serialize> {
    machine: &'a Machine,
    quick: bool,
    figures: &'a T,
}

impl Everything {
    /// Writes tables, plots and raw figures into a directory.
    pub(crate) fn write(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        self.raw(out, "pairs", &self.pairs)?;
        self.raw(out, "unseen", &self.unseen)?;
        self.raw(out, "beside", &self.beside)?;
        self.raw(out, "crossing", &self.cross)?;
        self.raw(out, "bursts", &self.bursts)?;
        self.raw(out, "latencies", &self.latencies)?;
        self.raw(out, "stalled-reader", &self.stalls)?;
        self.raw(out, "instructions", &self.instructions)?;
        let profile = (&self.sharing, &self.parts, &self.counts, &self.lines, &self.sources);
        self.raw(out, "profile", &profile)?;
        plots::threads(&out.join("pairs-by-threads.svg"), &self.pairs)?;
        plots::stalled(&out.join("stalled-reader.svg"), &self.stalls)?;
        plots::latencies(&out.join("latencies.svg"), &self.latencies)?;
        let fill = self.fill();
        for (name, template) in PAGES {
            fs::write(out.join(name).with_extension("md"), filled(template, &fill))?;
        }
        self.write_domain(out)
    }

    /// Writes what is about the domain.
    pub(crate) fn write_domain(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        self.raw(out, "domain", &self.domain)?;
        let mut fill = self.domain.fill();
        fill.push(("machine", self.warning() + &self.machine()));
        Ok(fs::write(out.join("domain.md"), filled(DOMAIN, &fill))?)
    }

    fn raw<T: Serialize>(&self, out: &Path, name: &str, figures: &T) -> Result<(), Box<dyn Error>> {
        let raw = Raw { machine: &self.machine, quick: self.quick, figures };
        let mut text = serde_json::to_string(&raw)?;
        text.push('\n');
        Ok(fs::write(out.join(name).with_extension("json"), text)?)
    }

    /// What stands in the pages in the place of `{{names}}`.
    fn fill(&self) -> Vec<(&'static str, String)> {
        let [ours, section] =
            [Row::OURS, Row::SECTION].map(|row| tables::standing(&self.pairs, row));
        vec![
            ("machine", self.warning() + &self.machine()),
            ("glance", glance(self)),
            ("won", ours.won),
            ("won-in-sections", section.won),
            ("standing", ours.table),
            ("standing-in-sections", section.table),
            ("pairs", tables::pairs(&self.pairs)),
            ("unseen", given_back(&self.unseen)),
            ("beside-quiet", quiet(&self.beside)),
            ("beside-busy", busy(&self.beside)),
            ("crossing", by_geometry("ns per block", &self.cross, |&ns| ns)),
            ("bursts", self.bursts()),
            ("stalled", self.stalled()),
            ("rate", STALL_RATE.to_string()),
            ("latencies", self.latencies()),
            ("instructions", tables::instructions(&self.instructions)),
            ("sharing", tables::sharing(&self.sharing)),
            ("parts", self.parts()),
            ("counts", self.counts()),
            ("lines", counted(&self.lines)),
            ("many-processors", many_processors(&self.lines, &self.parts)),
            ("sources", tables::sources(&self.sources)),
        ]
    }

    fn warning(&self) -> String {
        if self.quick {
            "**Measured with `--quick`: a trial of the program, not figures to go by.**\n\n"
                .to_owned()
        } else {
            String::new()
        }
    }

    fn machine(&self) -> String {
        let Machine {
            processor,
            cores,
            virtual_machine,
            kernel,
            rustc,
            commit,
            date,
            load,
            versions,
        } = &self.machine;
        let kind = if *virtual_machine { "a virtual machine" } else { "a machine" };
        let versions: Vec<_> = versions.iter().map(|(name, of)| format!("{name} {of}")).collect();
        let mut text = format!(
            "Taken on {date} on {kind} with {cores} cores ({processor}), {kernel}, {rustc}, commit \
             {commit}; load average at the start {load}. Versions: {}.\n",
            versions.join(", ")
        );
        for note in &self.notes {
            text += &format!("\n- {note}");
        }
        text
    }

    fn bursts(&self) -> String {
        let micros = |d: std::time::Duration| d.as_nanos() as f64 / 1000.0;
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        [
            by_geometry("µs until all are retired", &self.bursts, |b| micros(b.retired)),
            by_geometry("µs until all can be used again", &self.bursts, |b| micros(b.back)),
            by_geometry("KiB held by blocks or pages", &self.bursts, |b| kib(b.held)),
            by_geometry("KiB of the process at the peak", &self.bursts, |b| kib(b.resident)),
        ]
        .join("\n")
    }

    fn stalled(&self) -> String {
        let rows = self.stalls.iter().map(|series| {
            let rounds = || series.rounds.iter().flatten();
            let peak = |figure: fn(&ptfrag_benches::work::stalled::Sample) -> usize| {
                let of = |course: &Course| course.samples.iter().map(figure).max();
                Summary::of(rounds().filter_map(of).map(|most| most as f64))
            };
            let kib = |summary: Option<Summary>| {
                summary.map_or_else(|| "failed".to_owned(), |s| digits(s.median / 1024.0))
            };
            let retire = |stalled: bool, fraction| {
                let of = |course: &Course| {
                    at(if stalled { &course.stalled } else { &course.calm }, fraction)
                };
                quantile(rounds().map(of)).map_or_else(String::new, digits)
            };
            vec![
                series.row.who.to_string(),
                kib(peak(|sample| sample.held)),
                kib(peak(|sample| sample.beside)),
                kib(peak(|sample| sample.resident)),
                peak(|sample| sample.in_flight).map_or_else(String::new, |s| digits(s.median)),
                format!("{} / {}", retire(false, 0.5), retire(true, 0.5)),
                format!("{} / {}", retire(false, 0.999), retire(true, 0.999)),
            ]
        });
        let header = [
            "at the peak",
            "KiB held",
            "KiB of bookkeeping",
            "KiB of the process",
            "calls in flight",
            "retire p50, ns: calm / stalled",
            "retire p99.9, ns: calm / stalled",
        ];
        table(&header, rows)
    }

    fn latencies(&self) -> String {
        let mut text = String::new();
        for (what, allocate) in [("allocate", true), ("retire", false)] {
            let rows = self.latencies.iter().map(|series| {
                let mut row = vec![series.geometry.to_string(), series.row.to_string()];
                for fraction in [0.5, 0.99, 0.999, 0.9999, 1.0] {
                    let of = |l: &Latencies| {
                        at(if allocate { &l.allocate } else { &l.retire }, fraction)
                    };
                    row.push(spread(Summary::of(series.rounds.iter().flatten().map(of))));
                }
                row
            });
            let header = ["blocks", what, "p50, ns", "p99", "p99.9", "p99.99", "max"];
            text += &table(&header, rows);
            text += "\n";
        }
        text
    }

    fn parts(&self) -> String {
        let rows = self.parts.chunks(2).map(|both| {
            let value = both[0].part.to_possible_value().expect("no value is skipped");
            let mut row = vec![format!("`{}`", value.get_name())];
            row.extend(both.iter().map(|samples| spread(summary(&samples.ns))));
            row
        });
        table(&["ns", "1 thread", "2 threads"], rows)
    }

    fn counts(&self) -> String {
        let rows = self.counts.iter().map(|counted| {
            let figures = counted.counts.map_or_else(
                || vec!["failed".to_owned(); 6],
                |c| {
                    [c.calls, c.locks, c.contended, c.try_failed, c.pages_out, c.pages_home]
                        .map(|figure| format!("{figure:.4}"))
                        .to_vec()
                },
            );
            let mut row = vec![
                format!("{}, {} {}", counted.geometry, counted.order, counted.live),
                counted.row.to_string(),
                counted.threads.to_string(),
            ];
            row.extend(figures);
            row
        });
        let header = [
            "per pair",
            "who",
            "threads",
            "RCU calls",
            "lock taken",
            "after waiting",
            "callback came again",
            "pages taken",
            "pages put back",
        ];
        table(&header, rows)
    }
}

/// A text with its `{{names}}` replaced.
fn filled(template: &str, fill: &[(&str, String)]) -> String {
    let mut text = template.to_owned();
    for (name, with) in fill {
        text = text.replace(&format!("{{{{{name}}}}}"), with.trim_end());
    }
    debug_assert!(!text.contains("{{"), "something was not filled in");
    text
}
