//! Sections of many domains, which one thread uses in turn.

use std::{hint::black_box, time::Instant};

use ptfrag::OwnedDomain;
use serde::{Deserialize, Serialize};

use super::Timing;

/// The work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Domains {
    /// How many there are: a power of two.
    pub domains: usize,
    /// Sections with the clock running, after a quarter as many without.
    pub sections: u32,
}

/// Does the work.
///
/// # Panics
/// When the domains are no power of two.
#[must_use]
pub fn domains(work: Domains) -> Timing {
    assert!(work.domains.is_power_of_two(), "there are a power of two of domains");
    let domains: Vec<_> = (0..work.domains).map(|_| OwnedDomain::new()).collect();
    let mut next = 0;
    let mut rounds = |sections| {
        for _ in 0..sections {
            drop(black_box(domains[next].read()));
            next = (next + 1) & (domains.len() - 1);
        }
    };
    // The first section of a thread in a domain makes its record.
    rounds((work.sections / 4).max(work.domains as u32));
    let begun = Instant::now();
    rounds(work.sections);
    let run = begun.elapsed();
    Timing { run, total: run }
}
