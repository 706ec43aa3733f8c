//! Who is measured.

pub mod bare;
mod boxed;
mod bpf;
pub mod epoch;
mod floor;
pub mod heads;
#[cfg(liburcu)]
mod liburcu;
pub mod local;
mod mutex;
mod pages;
mod powerpc;
mod s390;
pub mod sdd;
mod seize;
mod sheaves;
mod slabs;
mod uma_smr;
pub mod unseen;

use std::fmt;

use clap::ValueEnum;
use ptfrag::Std;
use serde::{Deserialize, Serialize};

use crate::allocator::Allocator;

/// Somebody who is measured. The order is that of the tables.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// ptfrag with a handle on each thread.
    PtfragLocal,
    /// The same, with each retirement in a section.
    PtfragLocalSection,
    /// ptfrag without handles.
    PtfragBare,
    /// The same with four lanes.
    PtfragLanes,
    /// sdd with its own boxes.
    Sdd,
    /// `Box` and crossbeam-epoch.
    CrossbeamEpoch,
    /// `Box` and seize.
    Seize,
    /// malloc and liburcu.
    Liburcu,
    /// powerpc's policy over ptfrag's RCU.
    Powerpc,
    /// s390's policy over ptfrag's RCU.
    S390,
    /// SLUB's sheaves over ptfrag's RCU.
    Sheaves,
    /// BPF's allocator over ptfrag's RCU.
    Bpf,
    /// UMA's buckets over ptfrag's RCU.
    UmaSmr,
    /// A free list under a mutex over ptfrag's RCU.
    Mutex,
    /// A bump pointer without reclamation.
    Floor,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no value is skipped");
        f.pad(value.get_name())
    }
}

impl Who {
    /// Whether every block comes from the global allocator.
    #[must_use]
    pub fn uses_malloc(self) -> bool {
        matches!(self, Self::Sdd | Self::CrossbeamEpoch | Self::Seize | Self::Liburcu)
    }

    /// Whether it has pools, so that two of them are something else than one.
    #[must_use]
    pub fn has_pools(self) -> bool {
        self.is_ptfrag()
            || matches!(self, Self::Powerpc | Self::S390 | Self::Mutex)
            || matches!(self, Self::Sheaves | Self::Bpf | Self::UmaSmr)
    }

    /// Whether it is ptfrag.
    #[must_use]
    pub fn is_ptfrag(self) -> bool {
        matches!(self, Self::PtfragLocal | Self::PtfragLocalSection)
            || matches!(self, Self::PtfragBare | Self::PtfragLanes)
    }

    /// Whether it was built in and can do this geometry.
    #[must_use]
    pub fn can(self, geometry: Geometry) -> bool {
        match self {
            Self::S390 => geometry == Geometry::G2x2048,
            Self::Liburcu => cfg!(liburcu),
            _ => true,
        }
    }
}

/// How a page is split. Who has no pages only takes the size from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Geometry {
    /// m68k's, and what powerpc's radix tables nest.
    #[serde(rename = "16x256")]
    G16x256,
    /// powerpc's on 64 KiB pages.
    #[serde(rename = "16x4096")]
    G16x4096,
    /// powerpc's upper level on 4 KiB pages.
    #[serde(rename = "4x1024")]
    G4x1024,
    /// s390's.
    #[serde(rename = "2x2048")]
    G2x2048,
}

impl Geometry {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::G16x256, Self::G16x4096, Self::G4x1024, Self::G2x2048];

    /// Fragments of a page, and bytes of a fragment.
    #[must_use]
    pub fn numbers(self) -> (usize, usize) {
        match self {
            Self::G16x256 => (16, 256),
            Self::G16x4096 => (16, 4096),
            Self::G4x1024 => (4, 1024),
            Self::G2x2048 => (2, 2048),
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (frags, size) = self.numbers();
        f.pad(&format!("{frags}x{size}"))
    }
}

/// Something to do with an allocator whose type is found at run time.
pub trait Visit {
    /// What comes of it.
    type Out;
    /// Does it.
    fn visit<A: Allocator>(self) -> Self::Out;
}

/// Does it with the type that `who` and `geometry` name. With `COUNT`, blocks from the heap count
/// themselves.
///
/// # Panics
/// When `who` [cannot](Who::can).
pub fn dispatch<V: Visit, const COUNT: bool>(who: Who, geometry: Geometry, visit: V) -> V::Out {
    match geometry {
        Geometry::G16x256 => paged::<V, 16, 256, 4096, COUNT>(who, visit),
        Geometry::G16x4096 => paged::<V, 16, 4096, 65536, COUNT>(who, visit),
        Geometry::G4x1024 => paged::<V, 4, 1024, 4096, COUNT>(who, visit),
        Geometry::G2x2048 => match who {
            Who::S390 => visit.visit::<s390::S390<2048, 4096>>(),
            _ => paged::<V, 2, 2048, 4096, COUNT>(who, visit),
        },
    }
}

fn paged<V: Visit, const N: usize, const SIZE: usize, const PAGE: usize, const COUNT: bool>(
    who: Who,
    visit: V,
) -> V::Out {
    match who {
        Who::PtfragLocal => {
            visit.visit::<local::Locals<N, SIZE, PAGE, false, Std<'static, PAGE>>>()
        }
        Who::PtfragLocalSection => {
            visit.visit::<local::Locals<N, SIZE, PAGE, true, Std<'static, PAGE>>>()
        }
        Who::PtfragBare => visit.visit::<bare::Bare<N, SIZE, PAGE, Std<'static, PAGE>>>(),
        Who::PtfragLanes => visit.visit::<bare::Bare<N, SIZE, PAGE, Std<'static, PAGE>, 4>>(),
        Who::Sdd => visit.visit::<sdd::Sdd<SIZE, COUNT>>(),
        Who::CrossbeamEpoch => visit.visit::<epoch::Epoch<SIZE, COUNT>>(),
        Who::Seize => visit.visit::<seize::Seize<SIZE, COUNT>>(),
        #[cfg(liburcu)]
        Who::Liburcu => visit.visit::<liburcu::Liburcu<SIZE, COUNT>>(),
        Who::Powerpc => visit.visit::<powerpc::Powerpc<N, SIZE, PAGE>>(),
        Who::Sheaves => visit.visit::<sheaves::Sheaves<N, SIZE, PAGE>>(),
        Who::Bpf => visit.visit::<bpf::Bpf<N, SIZE, PAGE>>(),
        Who::UmaSmr => visit.visit::<uma_smr::UmaSmr<N, SIZE, PAGE>>(),
        Who::Mutex => visit.visit::<mutex::MutexList<N, SIZE, PAGE>>(),
        Who::Floor => visit.visit::<floor::Floor<SIZE>>(),
        #[cfg(not(liburcu))]
        Who::Liburcu => panic!("built without liburcu"),
        Who::S390 => panic!("s390 has pages of two halves only"),
    }
}
