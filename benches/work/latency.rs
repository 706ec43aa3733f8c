//! How long single operations take in the pair workload.

use std::{thread, time::Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{
    Gate, Order,
    pair::{Holder, Pair},
};
use crate::{
    allocator::{Allocator, Handle},
    who::Visit,
};

/// The pair workload, with a clock at every operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Latency(pub Pair);

/// Nanoseconds at the given fraction of the operations.
pub type Quantiles = Vec<(f64, u64)>;

/// What it gives; a reading of the clock is included in each figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// Of allocating and touching.
    pub allocate: Quantiles,
    /// Of retiring, callbacks included that run on the way.
    pub retire: Quantiles,
}

/// The fractions that are reported.
pub const FRACTIONS: [f64; 13] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];

/// A histogram to a thousandth, up to ten seconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("the bounds make sense")
}

pub(super) fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    FRACTIONS.map(|at| (at, histogram.value_at_quantile(at))).to_vec()
}

impl Visit for Latency {
    type Out = Latencies;

    fn visit<A: Allocator>(self) -> Latencies {
        match self.0.order {
            Order::Fifo => run::<A, false>(self.0),
            Order::Random => run::<A, true>(self.0),
        }
    }
}

fn run<A: Allocator, const RANDOM: bool>(pair: Pair) -> Latencies {
    let allocator = A::new(pair.setup());
    let gate = Gate::new(pair.threads);
    let work = |thread| {
        let (mut allocate, mut retire) = (histogram(), histogram());
        let mut holder = Holder::<_, RANDOM>::new(allocator.handle(thread), pair.live, thread);
        for _ in 0..pair.pairs / 4 {
            holder.pair();
        }
        gate.pass();
        for _ in 0..pair.pairs {
            let start = Instant::now();
            let fresh = holder.fresh();
            let middle = Instant::now();
            let old = holder.exchange(fresh);
            let before = Instant::now();
            holder.handle.retire(old);
            let end = Instant::now();
            allocate.saturating_record((middle - start).as_nanos() as u64);
            retire.saturating_record((end - before).as_nanos() as u64);
        }
        holder.end();
        [allocate, retire]
    };
    let work = &work;
    let mut sum = [histogram(), histogram()];
    thread::scope(|scope| {
        let threads: Vec<_> = (0..pair.threads).map(|nth| scope.spawn(move || work(nth))).collect();
        for thread in threads {
            let parts = thread.join().expect("a thread panicked");
            for (sum, part) in sum.iter_mut().zip(parts) {
                sum.add(part).expect("histograms of the same bounds");
            }
        }
    });
    allocator.quiesce();
    let [allocate, retire] = sum.map(|histogram| quantiles(&histogram));
    Latencies { allocate, retire }
}
