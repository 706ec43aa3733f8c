//! The replay on one thread: a trace's events in order, grace periods in trace time.

use std::collections::VecDeque;

use indicatif::ProgressBar;

use crate::{
    policy::{Policy, Tally},
    trace::{Level, Op, Trace},
};

/// What one policy made of one trace.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) page_bytes: usize,
    pub(crate) tally: Tally,
    pub(crate) pages_peak: u64,
    pub(crate) pages_mean: f64,
    /// Time and pages held from then on, at every change.
    pub(crate) curve: Vec<(u64, u64)>,
}

/// Pages held over time.
struct Curve {
    points: Vec<(u64, u64)>,
    peak: u64,
    /// Pages times microseconds, up to the last point.
    area: u128,
}

impl Curve {
    fn new(start: u64) -> Self {
        Self { points: vec![(start, 0)], peak: 0, area: 0 }
    }

    fn last(&self) -> (u64, u64) {
        *self.points.last().expect("the curve begins with a point")
    }

    fn note(&mut self, time: u64, held: u64) {
        let (since, before) = self.last();
        if held != before {
            self.area += u128::from(time - since) * u128::from(before);
            self.points.push((time, held));
            self.peak = self.peak.max(held);
        }
    }

    /// The mean over the time from the first point to `end`; 0 if that is no time at all.
    fn mean(&self, end: u64) -> f64 {
        let (since, held) = self.last();
        let area = self.area + u128::from(end - since) * u128::from(held);
        match end - self.points[0].0 {
            0 => 0.0,
            span => area as f64 / span as f64,
        }
    }
}

/// The driver of one policy: what waits for which moment, and what has been seen.
struct Driver<P: Policy> {
    policy: P,
    grace: u64,
    /// In the order of their ends, as grace periods follow each other.
    waiting: VecDeque<(u64, P::Deferred)>,
    curve: Curve,
}

impl<P: Policy> Driver<P> {
    /// Closes a step at `now`: its deferred frees begin to wait, its pages are counted.
    fn step(&mut self, now: u64) {
        if let Some(deferred) = self.policy.deferred() {
            self.waiting.push_back((self.end_of_next(now), deferred));
        }
        self.curve.note(now, self.policy.tally().held);
    }

    /// When the first grace period ends that begins after `now`. They are everybody's, and follow each other
    /// without a gap.
    fn end_of_next(&self, now: u64) -> u64 {
        match now.checked_div(self.grace) {
            Some(over) => over.saturating_add(2).saturating_mul(self.grace),
            None => now,
        }
    }

    fn set_time(&mut self, now: u64) {
        self.policy.at(now, self.end_of_next(now));
    }

    /// Lets trace time pass to `now`, with the grace periods that end on the way. What a callback
    /// defers again may end on the way too.
    fn pass(&mut self, now: u64) {
        while self.waiting.front().is_some_and(|&(end, _)| end <= now) {
            if let Some((end, deferred)) = self.waiting.pop_front() {
                self.set_time(end);
                self.policy.grace_over(deferred);
                self.step(end);
            }
        }
        self.set_time(now);
    }
}

/// How to replay.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// The levels whose tables are placed.
    pub(crate) levels: &'a [Level],
    /// The length of a grace period in microseconds; zero if they take no time.
    pub(crate) grace: u64,
}

/// Replays `trace` under `policy`.
///
/// # Errors
/// A page could not be had, or is not back at its source when everything is freed.
pub(crate) fn run<P: Policy>(
    trace: &Trace,
    rules: Rules<'_>,
    policy: P,
    bar: &ProgressBar,
) -> Result<Outcome, String> {
    let failed = |name, what| format!("{}, {name}: {what}", trace.name);
    let (start, end) = (trace.events[0].time, trace.events[trace.events.len() - 1].time);
    let mut driver =
        Driver { policy, grace: rules.grace, waiting: VecDeque::new(), curve: Curve::new(start) };
    let mut alive = vec![false; trace.tables];
    let mut tables_of = vec![0_u64; trace.mms];
    let mut has_pgd = vec![true; trace.mms];
    let name = driver.policy.name();

    for chunk in trace.events.chunks(1024) {
        for event in chunk {
            driver.pass(event.time);
            let (mm, table) = (event.mm, event.table);
            let placed = rules.levels.contains(&event.level);
            driver.policy.on(event.cpu);
            match event.op {
                Op::Alloc if placed => {
                    driver.policy.alloc(mm, table).map_err(|what| failed(name, what))?;
                    alive[table] = true;
                    tables_of[mm] += 1;
                }
                Op::Free if placed => {
                    driver.policy.free(table);
                    alive[table] = false;
                    tables_of[mm] -= 1;
                }
                _ => {}
            }
            // An mm exits when its pgd is freed. The kernel frees it last; where a table's free
            // stands behind it, that free escaped the recorder and stands too late, and the mm is
            // there until then.
            has_pgd[mm] = match (event.level, event.op) {
                (Level::Pgd, op) => op == Op::Alloc,
                _ => has_pgd[mm],
            };
            if event.op == Op::Free && !has_pgd[mm] && tables_of[mm] == 0 {
                driver.policy.exit(mm);
            }
            driver.step(event.time);
        }
        bar.inc(chunk.len() as u64);
    }
    driver.pass(end);
    let pages_mean = driver.curve.mean(end);

    for table in (0..trace.tables).filter(|&table| alive[table]) {
        driver.policy.free(table);
        driver.step(end);
    }
    for mm in 0..trace.mms {
        driver.policy.exit(mm);
        driver.step(end);
    }
    driver.pass(u64::MAX);

    let tally = driver.policy.tally();
    let left = tally.held.max(driver.policy.pages_out());
    if left != 0 {
        return Err(failed(name, format!("{left} pages are not back at their source")));
    }
    let Curve { points, peak, .. } = driver.curve;
    let page_bytes = driver.policy.page_bytes();
    Ok(Outcome { name, page_bytes, tally, pages_peak: peak, pages_mean, curve: points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Plain, trace::Event};

    fn trace(events: &[(u64, Op, usize)]) -> Trace {
        let event =
            |&(time, op, table)| Event { time, cpu: 0, mm: 0, op, level: Level::Pte, table };
        Trace {
            name: "test".to_owned(),
            events: events.iter().map(event).collect(),
            mms: 1,
            tables: events.len(),
            numbers: (0..events.len() as u64).collect(),
        }
    }

    fn plain(trace: &Trace, grace: u64) -> Outcome {
        let rules = Rules { levels: &[Level::Pte], grace };
        run(trace, rules, Plain::new(4096), &ProgressBar::hidden()).unwrap()
    }

    #[test]
    fn the_mean_is_weighted_by_time() {
        let trace = trace(&[
            (100, Op::Alloc, 0),
            (110, Op::Alloc, 1),
            (130, Op::Free, 0),
            (200, Op::Free, 1),
        ]);
        let outcome = plain(&trace, 0);
        // One page for 10 us, two for 20, one for 70.
        assert_eq!((outcome.pages_peak, outcome.pages_mean), (2, 1.2));
        assert_eq!(outcome.curve, [(100, 0), (100, 1), (110, 2), (130, 1), (200, 0)]);
    }

    #[test]
    fn a_grace_period_holds_the_page() {
        let trace = trace(&[(0, Op::Alloc, 0), (10, Op::Free, 0), (15, Op::Alloc, 1)]);
        let outcome = plain(&trace, 20);
        assert_eq!(outcome.curve, [(0, 0), (0, 1), (15, 2), (40, 1), (40, 0)]);
        let outcome = plain(&trace, 2);
        // It ends just in time for the second table.
        assert_eq!((outcome.pages_peak, outcome.tally.taken), (1, 2));
    }

    #[test]
    fn a_trace_without_a_span() {
        let outcome = plain(&trace(&[(7, Op::Alloc, 0)]), u64::MAX);
        assert_eq!((outcome.pages_peak, outcome.pages_mean, outcome.tally.rcu_calls), (1, 0.0, 1));
    }
}
