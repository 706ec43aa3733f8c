//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::run::{Plan, Until};

/// Readers and updaters of all kinds against the built-in RCU domain: is no grace period too short?
///
/// An updater replaces what is published, and the old one grows older by a stage with each grace period. A reader
/// that has found it looks at its stage before it leaves its section: 0 and 1 are as they should be, and 2 means that
/// a grace period ended although the reader had been there before it began.
#[derive(Parser)]
#[command(name = "torture")]
pub(crate) struct Args {
    /// How long it lasts
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "sections")]
    seconds: u64,

    /// Ends after so many sections instead
    #[arg(long, value_name = "N")]
    sections: Option<u64>,

    /// Threads that read: in turn tight loops, loops behind slow stores, a mixture of everything, and threads that come
    /// and go
    #[arg(long, value_name = "N", default_value_t = 4)]
    readers: usize,

    /// Threads that replace and retire
    #[arg(long, value_name = "N", default_value_t = 2)]
    updaters: usize,

    /// Who makes the readers' fences
    #[arg(long, value_enum, default_value_t = Flavour::Fences)]
    flavour: Flavour,

    /// Send no signals (they are sent on Linux only)
    #[arg(long)]
    no_signals: bool,

    /// Repeats the choices of an earlier run, but not what the threads do to each other
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flavour {
    /// They themselves
    Fences,
    /// The system, in every thread at once
    Asymmetric,
}

impl Args {
    pub(crate) fn plan(&self) -> Plan {
        let seconds = Until::Time(Duration::from_secs(self.seconds));
        Plan {
            until: self.sections.map_or(seconds, Until::Sections),
            readers: self.readers,
            updaters: self.updaters,
            asymmetric: matches!(self.flavour, Flavour::Asymmetric),
            signals: !self.no_signals,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
        }
    }
}
