//! Everybody who takes blocks from the global allocator.

use criterion::Criterion;
use ptfrag_benches::{
    allocator::Sharing::OneMm,
    who::{Geometry, Who},
    work::unseen::By,
};

use crate::shared;

pub(crate) fn peers(criterion: &mut Criterion, malloc: &str) {
    shared::given_back(criterion, By::Heap, malloc.trim_start_matches('+'));
    for who in [Who::Sdd, Who::CrossbeamEpoch, Who::Seize, Who::Liburcu] {
        for geometry in [Geometry::G16x256, Geometry::G2x2048] {
            for threads in [(1, OneMm), (2, OneMm), (8, OneMm)] {
                shared::pairs(criterion, who, malloc, geometry, threads);
            }
        }
    }
}
