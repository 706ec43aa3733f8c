//! One criterion benchmark of the pair workload, or of what is given back.

use std::time::Duration;

use criterion::Criterion;
use ptfrag_benches::{
    allocator::Sharing,
    who::{Geometry, Who, dispatch},
    work::{
        Order,
        pair::Pair,
        unseen::{By, Unseen, unseen},
    },
};

/// Short samples: there are many benchmarks, and each sample drains what it retired.
pub(crate) fn config() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}

/// `pair/<who>/<frags>x<bytes>/<fifo|random><live>/<threads>t`; two mms say so behind it.
///
/// One iteration is one pair on each thread.
pub(crate) fn pairs(
    criterion: &mut Criterion,
    who: Who,
    malloc: &str,
    geometry: Geometry,
    (threads, sharing): (usize, Sharing),
) {
    if !who.can(geometry) {
        return;
    }
    for (order, live) in [(Order::Fifo, 64), (Order::Random, 64), (Order::Random, 1024)] {
        let mms = if sharing == Sharing::OneMm { "" } else { "-2mms" };
        let id = format!("pair/{who}{malloc}/{geometry}/{order}{live}/{threads}t{mms}");
        criterion.bench_function(&id, |bencher| {
            bencher.iter_custom(|pairs| {
                let pair = Pair { order, live, threads, sharing, pairs };
                dispatch::<Pair, false>(who, geometry, pair).total
            });
        });
    }
}

/// `unseen/<who>/<here|crossing>`: one iteration is a block of 256 bytes that is given back.
pub(crate) fn given_back(criterion: &mut Criterion, by: By, who: &str) {
    for (crossing, name) in [(false, "here"), (true, "crossing")] {
        criterion.bench_function(&format!("unseen/{who}/{name}"), |bencher| {
            bencher.iter_custom(|pairs| unseen(Unseen { by, crossing, pairs }).total);
        });
    }
}
