//! The figures of a replay, as the JSON document has them.

use serde::Serialize;

use crate::run::Outcome;

/// The JSON document.
#[derive(Serialize)]
pub(crate) struct Document<'a, T> {
    pub(crate) traces: &'a [T],
}

/// A trace's part of it.
#[derive(Serialize)]
pub(crate) struct TraceFigures {
    pub(crate) name: String,
    /// Every event of the trace, the levels that were not replayed included.
    events: usize,
    /// With the shortest grace periods, which are what the large table shows.
    policies: Vec<PolicyFigures>,
    /// With each length, shortest first.
    pub(crate) grace_periods: Vec<GraceFigures>,
}

/// What all policies made of a trace with grace periods of one length.
#[derive(Clone, Serialize)]
pub(crate) struct GraceFigures {
    pub(crate) us: u64,
    pub(crate) policies: Vec<PolicyFigures>,
}

#[derive(Clone, Serialize)]
pub(crate) struct PolicyFigures {
    pub(crate) name: &'static str,
    pub(crate) page_bytes: usize,
    pub(crate) pages_peak: u64,
    pub(crate) pages_mean: f64,
    pub(crate) pages_taken: u64,
    pub(crate) lock_acquisitions: u64,
    pub(crate) rcu_calls: u64,
    pub(crate) reused: u64,
}

impl TraceFigures {
    pub(crate) fn new(name: String, events: usize, grace_periods: Vec<GraceFigures>) -> Self {
        let policies = grace_periods.first().map(|grace| grace.policies.clone());
        Self { name, events, policies: policies.unwrap_or_default(), grace_periods }
    }
}

impl GraceFigures {
    pub(crate) fn new(us: u64, outcomes: &[Outcome]) -> Self {
        Self { us, policies: outcomes.iter().map(PolicyFigures::from).collect() }
    }
}

impl From<&Outcome> for PolicyFigures {
    fn from(outcome: &Outcome) -> Self {
        Self {
            name: outcome.name,
            page_bytes: outcome.page_bytes,
            pages_peak: outcome.pages_peak,
            pages_mean: outcome.pages_mean,
            pages_taken: outcome.tally.taken,
            lock_acquisitions: outcome.tally.lock_acquisitions,
            rcu_calls: outcome.tally.rcu_calls,
            reused: outcome.tally.reused,
        }
    }
}
