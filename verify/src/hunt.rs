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
    nets::{Net, ONE_TEST, limit},
    plant::Planted,
    run::{Ended, Run, run},
    store::{Outcome, Store, Verdict},
    tree::{Files, Tree},
};

/// A fault to be hunted.
pub struct Prey {
    pub id: String,
    /// Tells it from every other of which something is known.
    pub key: String,
    pub planted: Planted,
    /// The net and the test that come first.
    pub killer: Option<(Net, String)>,
    /// Whether it is known why nothing catches it.
    pub excused: bool,
}

impl Prey {
    /// Whether this is what became of it; something else than the killer is tried again, and so is
    /// what has no reason to survive.
    fn is_settled(&self, outcome: &Outcome) -> bool {
        match &self.killer {
            Some((net, test)) => outcome.verdict.is_kill_by(net.name(), test),
            None => self.excused || outcome.verdict != Verdict::Survived,
        }
    }
}

/// What a hunt needs.
pub struct Ground<'a> {
    pub root: &'a Path,
    pub dir: &'a Path,
    pub files: &'a Files,
    /// How many seconds a net takes without a fault.
    pub nets: BTreeMap<Net, f64>,
    pub jobs: usize,
}

/// The place of a worker's tree.
pub fn tree_dir(dir: &Path, worker: usize) -> PathBuf {
    dir.join(format!("tree-{worker}"))
}

/// Hunts all that is not known yet.
pub fn hunt(ground: &Ground<'_>, all: &[Prey]) -> Result<(), String> {
    let store = Store::open(ground.root, ground.dir)?;
    let known = |prey: &&Prey| store.get(&prey.key).is_some_and(|outcome| prey.is_settled(outcome));
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
        key: prey.key.clone(),
        id: prey.id.clone(),
        verdict: verdict?,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn verdict(ground: &Ground<'_>, tree: &Tree, prey: &Prey) -> Result<Verdict, String> {
    let first = prey.killer.iter().map(|(net, test)| (*net, Some(test.as_str())));
    let rest = Net::ALL.into_iter().filter(|net| net.concerns(&prey.planted));
    for (net, only) in first.chain(rest.map(|net| (net, None))) {
        let seconds = ground.nets.get(&net).copied().unwrap_or(300.0);
        let named = only.as_slice();
        if let Some(build) = net.build(tree, named)? {
            // A compiler that takes that long compiles something that cannot be compiled.
            let built = run(build, limit(60.0)).map_err(|error| error.to_string())?;
            if built.ended == Ended::TimedOut {
                tree.forget_half_built()?;
            }
            if built.ended != Ended::Well {
                let error = complaint(&built)?;
                return Ok(Verdict::Unviable { net: net.name().into(), error });
            }
        }
        let (test, limit) = if only.is_some() {
            (net.test(tree, named)?, limit(seconds).min(ONE_TEST))
        } else {
            (net.search(tree)?, limit(seconds))
        };
        let done = run(test, limit).map_err(|error| error.to_string())?;
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

/// Why something does not compile. If it is not the compiler that says so, something else is wrong.
fn complaint(built: &Run) -> Result<String, String> {
    if built.ended == Ended::TimedOut {
        return Ok("the compiler does not come to an end".into());
    }
    let said = built.output.said();
    let compiler = said.iter().any(|line| line.starts_with("error: could not compile"));
    let error = said.iter().find(|line| line.starts_with("error"));
    error
        .filter(|_| compiler)
        .cloned()
        .ok_or_else(|| format!("the build failed:\n{}", said.join("\n")))
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { id, verdict, seconds, .. } = outcome;
    let what = match verdict {
        Verdict::Killed { net, test, timeout } => {
            let how = if *timeout { "timeout in" } else { "killed by" };
            format!("{how} {net} {}", test.as_deref().unwrap_or("(no test named)"))
        }
        Verdict::Survived => "SURVIVED".to_owned(),
        Verdict::Unviable { net, error } => format!("does not compile ({net}): {error}"),
    };
    format!("{id}: {what}, {seconds:.0} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(script: &str, limit: u64) -> Run {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        run(command, std::time::Duration::from_secs(limit)).unwrap()
    }

    #[test]
    fn only_a_compiler_says_that_it_does_not_compile() {
        let compiler = "echo 'error[E0308]: t'; echo 'error: could not compile `c`'; exit 101";
        assert_eq!(complaint(&built(compiler, 60)).unwrap(), "error[E0308]: t");
        assert!(complaint(&built("echo 'error: no space left'; exit 101", 60)).is_err());
        assert!(complaint(&built("kill -9 $$", 60)).is_err());
        assert!(complaint(&built("sleep 1000", 1)).is_ok());
    }
}
