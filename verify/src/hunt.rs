//! Planting faults one after the other, in as many trees as there are workers, and running the nets
//! on each until one catches it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    nets::{Net, limit},
    plant::Planted,
    run::{Ended, run},
    store::{Outcome, Store, Verdict},
    tree::{self, Files, Tree},
};

/// A fault to be hunted.
pub struct Prey {
    pub id: String,
    pub planted: Planted,
    /// The net and the test that come first.
    pub killer: Option<(Net, String)>,
}

impl Prey {
    fn key(&self, source: u64) -> String {
        tree::key(source, &self.planted)
    }

    /// Whether this is what became of it; something else than the killer is tried again.
    fn is_settled(&self, outcome: &Outcome) -> bool {
        self.killer.as_ref().is_none_or(|(net, test)| outcome.verdict.is_kill_by(net.name(), test))
    }
}

/// What a hunt needs.
pub struct Ground<'a> {
    pub dir: &'a Path,
    pub files: &'a Files,
    /// The fingerprint of the source.
    pub source: u64,
    /// How many seconds a net takes without a fault, where it is known.
    pub seconds: BTreeMap<Net, f64>,
    pub jobs: usize,
}

/// The place of a worker's tree.
pub fn tree_dir(dir: &Path, worker: usize) -> PathBuf {
    dir.join(format!("tree-{worker}"))
}

/// Hunts all that is not known yet.
pub fn hunt(ground: &Ground<'_>, all: &[Prey]) -> Result<(), String> {
    let store = Store::open(ground.dir)?;
    let known = |prey: &&Prey| {
        store.get(&prey.key(ground.source)).is_some_and(|outcome| prey.is_settled(outcome))
    };
    let todo: Vec<_> = all.iter().filter(|prey| !known(prey)).collect();
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
    let bar =
        ProgressBar::new(todo.len() as u64).with_style(style.map_err(|error| error.to_string())?);
    let next = AtomicUsize::new(0);
    let problem = Mutex::new(None);
    let work = |worker: usize| -> Result<(), String> {
        let tree = Tree::new(tree_dir(ground.dir, worker), ground.files)?;
        while let Some(prey) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = judge(ground, &tree, prey)?;
            store.add(&outcome)?;
            bar.suspend(|| println!("{}", describe(&outcome)));
            bar.inc(1);
        }
        Ok(())
    };
    thread::scope(|scope| {
        for worker in 0..ground.jobs.min(todo.len()) {
            let (work, next, problem) = (&work, &next, &problem);
            scope.spawn(move || {
                if let Err(error) = work(worker) {
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    problem.lock().map(|mut first| first.get_or_insert(error).len()).ok();
                }
            });
        }
    });
    bar.finish_and_clear();
    problem.into_inner().map_err(|error| error.to_string())?.map_or(Ok(()), Err)
}

/// Plants a fault and runs the nets.
fn judge(ground: &Ground<'_>, tree: &Tree, prey: &Prey) -> Result<Outcome, String> {
    let start = Instant::now();
    tree.plant(&prey.planted)?;
    let verdict = verdict(ground, tree, prey);
    tree.mend(&prey.planted, ground.files)?;
    Ok(Outcome {
        key: prey.key(ground.source),
        id: prey.id.clone(),
        verdict: verdict?,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn verdict(ground: &Ground<'_>, tree: &Tree, prey: &Prey) -> Result<Verdict, String> {
    let first = prey.killer.iter().map(|(net, test)| (*net, Some(test.as_str())));
    let rest = Net::ALL.into_iter().filter(|net| net.concerns(&prey.planted));
    for (net, only) in first.chain(rest.map(|net| (net, None))) {
        let seconds = ground.seconds.get(&net).copied().unwrap_or(300.0);
        if let Some(build) = net.build(tree)? {
            // A compiler that takes that long compiles something that cannot be compiled.
            let built = run(build, limit(60.0)).map_err(|error| error.to_string())?;
            if built.ended != Ended::Well {
                return Ok(Verdict::Unviable { net: net.name().into() });
            }
        }
        let test = match only {
            Some(test) => net.test(tree, &[test])?,
            None => net.search(tree)?,
        };
        let done = run(test, limit(seconds)).map_err(|error| error.to_string())?;
        if done.ended != Ended::Well {
            return Ok(Verdict::Killed {
                net: net.name().into(),
                test: done.output.culprit().map(String::from),
                timeout: done.ended == Ended::TimedOut,
            });
        }
    }
    Ok(Verdict::Survived)
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { id, verdict, seconds, .. } = outcome;
    let what = match verdict {
        Verdict::Killed { net, test, timeout } => {
            let how = if *timeout { "timeout in" } else { "killed by" };
            format!("{how} {net} {}", test.as_deref().unwrap_or("(no test named)"))
        }
        Verdict::Survived => "SURVIVED".to_owned(),
        Verdict::Unviable { net } => format!("does not compile ({net})"),
    };
    format!("{id}: {what}, {seconds:.0} s")
}
