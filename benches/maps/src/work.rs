//! What is done, in a process of its own.

use std::{
    fs,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::peers::{Map, Visit};

/// One figure of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Of a hundred operations so many look a key up; the others insert and remove, one as often as the other.
    pub reads: u8,
    pub threads: usize,
    /// In the map, of twice as many keys.
    pub entries: u64,
    pub millis: u64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Operations in a second, in millions.
    pub rate: f64,
    /// Nanoseconds that one operation in a thousand takes longer than.
    pub p999: f64,
    /// Bytes of memory for each entry, when the map is full.
    pub entry: f64,
    /// Mebibytes that are still there when all entries are removed.
    pub left: f64,
}

/// Every so many operations one is timed.
const TIMED: u64 = 32;

impl Visit for Cell {
    type Out = Outcome;

    fn visit<M: Map>(self) -> Outcome {
        let begin = resident();
        let map = M::new(self.entries as usize);
        let mut handle = map.handle();
        for key in 0..self.entries {
            M::insert(&mut handle, 2 * key, key);
        }
        drop(handle);
        map.settle();
        let full = resident() - begin;

        let (rate, times) = self.churn(&map);

        let mut handle = map.handle();
        for key in 0..2 * self.entries {
            M::remove(&mut handle, key);
        }
        drop(handle);
        map.settle();
        // What the allocator has at hand is not the map's.
        // SAFETY: it has no conditions.
        unsafe { libc::malloc_trim(0) };
        Outcome {
            rate,
            p999: times.value_at_quantile(0.999) as f64,
            entry: full / self.entries as f64,
            left: (resident() - begin) / f64::from(1 << 20),
        }
    }
}

impl Cell {
    fn churn<M: Map>(self, map: &M) -> (f64, Histogram<u64>) {
        let (start, stop) = (Barrier::new(self.threads + 1), AtomicBool::new(false));
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let (start, stop) = (&start, &stop);
                    scope.spawn(move || {
                        let mut random = fastrand::Rng::with_seed(thread as u64);
                        let mut times = histogram();
                        let mut handle = map.handle();
                        start.wait();
                        let mut done = 0;
                        while !stop.load(Ordering::Relaxed) {
                            let before = Instant::now();
                            self.operation::<M>(&mut handle, &mut random);
                            times += u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX);
                            for _ in 1..TIMED {
                                self.operation::<M>(&mut handle, &mut random);
                            }
                            done += TIMED;
                        }
                        (done, times)
                    })
                })
                .collect();
            start.wait();
            let begin = Instant::now();
            thread::sleep(Duration::from_millis(self.millis));
            stop.store(true, Ordering::Relaxed);
            let took = begin.elapsed();
            let mut all = histogram();
            let mut done = 0;
            for thread in threads {
                let (of_one, times) = thread.join().expect("it does not panic");
                done += of_one;
                all += times;
            }
            (done as f64 / took.as_secs_f64() / 1e6, all)
        })
    }

    fn operation<M: Map>(self, handle: &mut M::Handle<'_>, random: &mut fastrand::Rng) {
        let key = random.u64(..2 * self.entries);
        if random.u8(..100) < self.reads {
            std::hint::black_box(M::get(handle, key));
        } else if random.bool() {
            M::insert(handle, key, key);
        } else {
            M::remove(handle, key);
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

/// Bytes of memory that the process has.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    pages.expect("Linux tells it") * 4096.0
}
