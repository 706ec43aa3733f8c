//! The rows of the tables: who, and under which allocator.

use std::fmt;

use ptfrag_benches::who::{Geometry, Who};
use serde::{Serialize, Serializer};

/// A global allocator, hence a measuring program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Malloc {
    Glibc,
    Mimalloc,
}

/// Who, and under which allocator if that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) who: Who,
    pub(crate) malloc: Malloc,
}

impl Row {
    /// Ours, with a handle on each thread.
    pub(crate) const OURS: Self = Self { who: Who::PtfragLocal, malloc: Malloc::Glibc };

    /// The same with each retirement in a section, as the peers' are.
    pub(crate) const SECTION: Self = Self { who: Who::PtfragLocalSection, malloc: Malloc::Glibc };

    /// Ours without handles.
    pub(crate) const BARE: Self = Self { who: Who::PtfragBare, malloc: Malloc::Glibc };

    /// The same with four lanes.
    pub(crate) const LANES: Self = Self { who: Who::PtfragLanes, malloc: Malloc::Glibc };

    const ALL: [Self; 18] = {
        const fn row(who: Who) -> Row {
            Row { who, malloc: Malloc::Glibc }
        }
        const fn mimalloc(who: Who) -> Row {
            Row { who, malloc: Malloc::Mimalloc }
        }
        [
            Self::OURS,
            Self::SECTION,
            Self::BARE,
            Self::LANES,
            mimalloc(Who::Sdd),
            row(Who::Sdd),
            mimalloc(Who::CrossbeamEpoch),
            row(Who::CrossbeamEpoch),
            mimalloc(Who::Seize),
            row(Who::Seize),
            row(Who::Liburcu),
            row(Who::Powerpc),
            row(Who::S390),
            row(Who::Sheaves),
            row(Who::Bpf),
            row(Who::UmaSmr),
            row(Who::Mutex),
            row(Who::Floor),
        ]
    };

    /// All that can do this geometry, in the order of the tables.
    pub(crate) fn all(geometry: Geometry) -> impl Iterator<Item = Self> + Clone {
        Self::ALL.into_iter().filter(move |row| {
            row.who.can(geometry) && (row.malloc == Malloc::Glibc || cfg!(feature = "mimalloc"))
        })
    }

    /// The same without the second allocator.
    pub(crate) fn under_glibc(geometry: Geometry) -> impl Iterator<Item = Self> + Clone {
        Self::all(geometry).filter(|row| row.malloc == Malloc::Glibc)
    }

    /// What a program could use in ptfrag's place.
    pub(crate) fn is_peer(self) -> bool {
        self.who.uses_malloc()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.malloc {
            _ if !self.who.uses_malloc() => self.who.to_string(),
            Malloc::Glibc => format!("{}+glibc", self.who),
            Malloc::Mimalloc => format!("{}+mimalloc", self.who),
        };
        f.pad(&name)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn everybody_has_a_row_in_the_order_of_the_tables() {
        let mut rows: Vec<_> = Row::ALL.iter().map(|row| row.who).collect();
        rows.dedup();
        assert_eq!(rows, Who::value_variants());
    }
}
