//! Everything that was measured.

use ptfrag_benches::work::{burst::Returned, latency::Latencies, stalled::Course};

use crate::{
    beside::InCompany,
    callgrind::{Instructions, Sources},
    domain::OfDomain,
    lines::Count,
    machine::Machine,
    matrix::Samples,
    profile::{Counted, PartSamples},
    series::Series,
    unseen::GivenBack,
};

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Everything {
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) notes: Vec<String>,
    pub(crate) pairs: Vec<Samples>,
    pub(crate) sharing: Vec<Samples>,
    pub(crate) parts: Vec<PartSamples>,
    pub(crate) counts: Vec<Counted>,
    pub(crate) lines: Vec<Count>,
    pub(crate) unseen: Vec<GivenBack>,
    pub(crate) beside: Vec<InCompany>,
    pub(crate) domain: OfDomain,
    pub(crate) cross: Vec<Series<f64>>,
    pub(crate) bursts: Vec<Series<Returned>>,
    pub(crate) latencies: Vec<Series<Latencies>>,
    pub(crate) stalls: Vec<Series<Course>>,
    pub(crate) instructions: Vec<Instructions>,
    pub(crate) sources: Vec<Sources>,
}
