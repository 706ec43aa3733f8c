//! A concurrent hash map whose nodes are fragments, and what it takes.
//!
//! `cargo run --release --example map -- --help` lists the options.

mod iter;
mod map;
mod node;

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use ptfrag::Domain;

use map::Map;

/// Threads insert numbers, look them all up, and remove them again.
#[derive(Parser)]
struct Args {
    /// Numbers in the map.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Threads that share the work.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { entries, threads } = Args::parse();
    let map = Map::new(entries.try_into()?, 1 << 20)?;
    let share = |thread: u64| (thread..entries).step_by(threads as usize);
    let domain = Domain::global();

    let took = together(threads, |thread| {
        let mut handle = map.handle();
        share(thread).try_for_each(|key| handle.insert(key, key * key).map(drop))
    });
    report("inserted", entries, took?);
    let bytes = map.pages() as u64 * 2048;
    println!("{bytes} bytes in nodes, {:.1} for each entry", bytes as f64 / entries.max(1) as f64);

    let took = together(threads, |thread| {
        let found = |key: &u64| map.get(key, &domain.read()) == Some(&(key * key));
        if share(thread).all(|key| found(&key)) { Ok(()) } else { Err("an entry is lost") }
    });
    report("looked up", entries, took?);
    let all = map.iter(&domain.read()).count() as u64;
    println!("{all} entries come one after the other");

    let took = together(threads, |thread| {
        let mut handle = map.handle();
        share(thread).try_for_each(|key| handle.remove(&key).map(drop))
    });
    report("removed", entries, took?);
    domain.barrier();
    println!("{} bytes in nodes are left", map.pages() * 2048);
    Ok(())
}

/// Has so many threads do their share, and says how long that took, or what went wrong first.
fn together<E: Send>(
    threads: u64,
    work: impl Fn(u64) -> Result<(), E> + Sync,
) -> Result<Duration, E> {
    let begin = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let work = &work;
                    move || work(thread)
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    Ok(begin.elapsed())
}

fn report(what: &str, entries: u64, took: Duration) {
    let each = took.as_nanos() as f64 / entries.max(1) as f64;
    println!("{entries} {what} in {took:.2?}, {each:.0} ns each");
}
