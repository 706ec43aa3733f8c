//! One measurement: asked for in JSON on the command line, answered in JSON on the output.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::{
    who::{Geometry, Visit, Who, dispatch},
    work::{
        Timing,
        backlog::{Backlog, Shrinking, backlog},
        beside::{Beside, Besides, Others},
        burst::{Burst, Returned},
        counts::{Counts, counts},
        cross::Cross,
        domains::{Domains, domains},
        flavours::{Flavours, Sections, flavours},
        grace::{Grace, Graces, graces},
        latency::{Latencies, Latency},
        lines::{Lines, Moved, lines},
        pair::Pair,
        parts::{Repeat, repeat},
        stalled::{Course, Stalled},
        unseen::{Unseen, unseen},
        waits::{Waited, Waits, waits},
    },
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The pair workload.
    Pair(Pair),
    /// Allocated here, retired there.
    Cross(Cross),
    /// Single operations.
    Latency(Latency),
    /// A burst.
    Burst(Burst),
    /// A stalled reader.
    Stalled(Stalled),
    /// What ptfrag does at a pair.
    Counts(Pair),
    /// Cache lines that go from thread to thread at a pair.
    Lines(Lines),
    /// A part of a pair.
    Part(Repeat),
    /// Given back without a reader.
    Unseen(Unseen),
    /// Pairs beside others.
    Beside(Beside),
    /// Plain heads that wait in the built-in domain.
    Waits(Waits),
    /// Guards while a backlog shrinks.
    Backlog(Backlog),
    /// Sections of many domains.
    Domains(Domains),
    /// Sections with and without fences.
    Flavours(Flavours),
    /// Fragments and pages that wait.
    Grace(Grace),
    /// Whether all this can be done here.
    Able,
}

/// Work, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Who does it; only ptfrag is counted and watched, parts, plain heads and domains are always its, and what is
    /// given back and who has a backlog say themselves.
    pub who: Who,
    /// On which blocks.
    pub geometry: Geometry,
    /// What.
    pub work: Work,
}

/// What comes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// For pairs, crossings, parts, what is given back and sections of many domains.
    Timing(Timing),
    /// For single operations.
    Latencies(Latencies),
    /// For a burst.
    Returned(Returned),
    /// For a stalled reader.
    Course(Course),
    /// For pairs beside others.
    Besides(Besides),
    /// For counts.
    Counts(Counts),
    /// For cache lines.
    Moved(Moved),
    /// For plain heads.
    Waited(Waited),
    /// For a backlog.
    Shrinking(Shrinking),
    /// For sections with and without fences.
    Sections(Sections),
    /// For fragments and pages.
    Graces(Graces),
    /// Whether it is possible.
    Able(bool),
}

impl Job {
    /// Does it.
    #[must_use]
    pub fn run(self) -> Answer {
        let Self { who, geometry, work } = self;
        match work {
            Work::Pair(pair) => Answer::Timing(plain(who, geometry, pair)),
            Work::Cross(cross) => Answer::Timing(plain(who, geometry, cross)),
            Work::Latency(latency) => Answer::Latencies(plain(who, geometry, latency)),
            Work::Burst(burst) => Answer::Returned(counted(who, geometry, burst)),
            Work::Stalled(stalled) => Answer::Course(counted(who, geometry, stalled)),
            Work::Counts(pair) => Answer::Counts(counts(who, pair, geometry)),
            Work::Lines(work) => Answer::Moved(lines(work, geometry)),
            Work::Part(part) => Answer::Timing(repeat(part)),
            Work::Unseen(work) => Answer::Timing(unseen(work)),
            // What is out matters only where it can grow, and counting it costs something.
            Work::Beside(beside) if beside.others == Others::Busy => {
                Answer::Besides(counted(who, geometry, beside))
            }
            Work::Beside(beside) => Answer::Besides(plain(who, geometry, beside)),
            Work::Waits(work) => Answer::Waited(waits(work)),
            Work::Backlog(work) => Answer::Shrinking(backlog(work)),
            Work::Domains(work) => Answer::Timing(domains(work)),
            Work::Flavours(work) => Answer::Sections(flavours(work)),
            Work::Grace(work) => Answer::Graces(graces(who, geometry, work)),
            Work::Able => Answer::Able(who.can(geometry)),
        }
    }
}

fn plain<V: Visit>(who: Who, geometry: Geometry, visit: V) -> V::Out {
    dispatch::<V, false>(who, geometry, visit)
}

fn counted<V: Visit>(who: Who, geometry: Geometry, visit: V) -> V::Out {
    dispatch::<V, true>(who, geometry, visit)
}

/// The whole of a measuring program: its one argument is a [`Job`].
#[must_use]
pub fn main() -> ExitCode {
    let Some(argument) = std::env::args().nth(1) else {
        eprintln!("usage: measure JOB, as the program `results` calls it");
        return ExitCode::from(2);
    };
    // Nobody waits for a measurement that hangs: the signal ends the process.
    // SAFETY: no handler is involved.
    unsafe { libc::alarm(60) };
    match serde_json::from_str::<Job>(&argument) {
        Ok(job) => {
            let answer = serde_json::to_string(&job.run()).expect("answers are plain data");
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("not a job: {error}");
            ExitCode::from(2)
        }
    }
}
