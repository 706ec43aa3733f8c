//! Running a model and saying what was explored.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Explores `model`, with at most `bound` preemptions in an execution if there is a bound, and
/// prints one line that scripts parse. The model's name is that of the test whose closure `S` is.
pub fn check<S>(threads: usize, bound: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    check_planned::<S>(threads, bound, &[0], move |_| model());
}

/// The same once for each plan, reported as one model.
pub fn check_planned<S>(
    threads: usize,
    bound: Option<usize>,
    plans: &[u64],
    model: impl Fn(u64) + Send + Sync + 'static,
) {
    let executions = Arc::new(AtomicUsize::new(0));
    let model = Arc::new(model);
    let start = Instant::now();
    for &plan in plans {
        let count = Arc::clone(&executions);
        let model = Arc::clone(&model);
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 10_000;
        builder.preemption_bound = bound;
        builder.check(move || {
            count.fetch_add(1, Ordering::Relaxed);
            model(plan);
        });
    }
    let path = std::any::type_name::<S>();
    let name = path.split_once("::").and_then(|(_, name)| name.strip_suffix("::{{closure}}"));
    let name = name.expect("a scene is a closure in its test");
    let executions = executions.load(Ordering::Relaxed);
    let bound = bound.map_or("exhaustive".into(), |bound| format!("{bound} preemptions"));
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("model {name}: {executions} executions, {bound}, {threads} threads, {seconds:.2} s");
}

/// The bound of a model that takes a minute or more: as it is where the models are explored at length
/// (`PTFRAG_LOOM=long`), and otherwise a preemption less, or four in the place of all.
pub fn at_length(bound: Option<usize>) -> Option<usize> {
    let long = std::env::var("PTFRAG_LOOM").is_ok_and(|how| how == "long");
    if long { bound } else { Some(bound.map_or(4, |bound| bound - 1)) }
}

/// Explores a scene that needs no stage.
pub fn check_scene<S: Fn() + Send + Sync + 'static>(
    threads: usize,
    bound: Option<usize>,
    scene: S,
) {
    check::<S>(threads, bound, scene);
}
