//! ptfrag under contention, with the kernels' policies, the control and the floor.
//!
//! `cargo bench -p ptfrag-benches --bench contention`.

mod shared;

use criterion::Criterion;
use ptfrag_benches::{
    allocator::Sharing::{OneMm, TwoMms},
    who::{Geometry, Who},
    work::unseen::By,
};

fn main() {
    let mut criterion = shared::config().configure_from_args();
    contention(&mut criterion);
    criterion.final_summary();
}

fn contention(criterion: &mut Criterion) {
    shared::given_back(criterion, By::Handle, "ptfrag-local");
    shared::given_back(criterion, By::OtherHandle, "ptfrag-local-other");
    for threads in [(1, OneMm), (2, OneMm), (2, TwoMms), (4, OneMm), (8, OneMm)] {
        for geometry in Geometry::ALL {
            for who in
                [Who::PtfragLocal, Who::PtfragLocalSection, Who::PtfragBare, Who::PtfragLanes]
            {
                shared::pairs(criterion, who, "", geometry, threads);
            }
        }
        let kernels = [Who::Powerpc, Who::S390, Who::Sheaves, Who::Bpf, Who::UmaSmr];
        for who in kernels.into_iter().chain([Who::Mutex, Who::Floor]) {
            for geometry in [Geometry::G16x256, Geometry::G2x2048] {
                shared::pairs(criterion, who, "", geometry, threads);
            }
        }
    }
}
