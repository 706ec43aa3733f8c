//! `results/verification.md`, and what is not as it should be.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    clean::Clean,
    faults::{Fault, Kind},
    mutants::{self, Mutant},
    nets::{Net, SCHEDULES},
    plant::{self, Planted},
    store::{Outcome, Store, Verdict},
    survivors::{self, Reason},
    tree,
};

/// What was found, in this state of the source.
pub struct Findings {
    root: PathBuf,
    source: u64,
    store: Store,
    reasons: Vec<Reason>,
}

/// A part of the report, and what is not as it should be in it.
pub struct Part {
    pub text: String,
    pub problems: Vec<String>,
}

impl Findings {
    /// What is known now.
    pub fn new(root: &Path, dir: &Path, source: u64) -> Result<Self, String> {
        let (store, reasons) = (Store::open(dir)?, survivors::load(root)?);
        Ok(Self { root: root.to_owned(), source, store, reasons })
    }

    fn outcome(&self, source: u64, planted: &Planted) -> Option<&Outcome> {
        self.store.get(&tree::key(source, planted))
    }

    /// The faults written by hand. Each must be caught by the test that is named for it, or be one
    /// that nothing can catch, and survive.
    pub fn faults(&self, faults: &[Fault]) -> Result<Part, String> {
        let mut part = Part { text: String::new(), problems: Vec::new() };
        let titles = [
            (Kind::History, "Faults of history", "fault"),
            (Kind::Handle, "Faults of handles and of kept pages", "fault"),
            (Kind::Ordering, "Orderings, one step weaker", "ordering"),
        ];
        for (kind, title, head) in titles {
            let mut rows = String::new();
            let (mut caught, mut all) = (0, 0);
            for fault in faults.iter().filter(|fault| fault.kind == kind) {
                let planted = plant::plant(&self.root, &fault.edits)?;
                let known = self.outcome(self.source, &planted);
                let missing =
                    || format!("{}: not hunted yet in this state of the source", fault.id);
                let verdict = &known.ok_or_else(missing)?.verdict;
                all += 1;
                caught += usize::from(matches!(verdict, Verdict::Killed { .. }));
                let by = match (verdict, &fault.equivalent) {
                    (Verdict::Survived, Some(why)) => format!("nothing can: {why}"),
                    (verdict, _) => catcher(verdict),
                };
                let (id, story) = (&fault.id, cell(&fault.story));
                let _ = writeln!(rows, "| {id} | {story} | {} |", cell(&by));
                part.problems.extend(unexpected(fault, verdict));
            }
            let _ = write!(
                part.text,
                "## {title}\n\n{caught} of {all} are caught.\n\n\
                 | {head} | what | caught by |\n| --- | --- | --- |\n{rows}\n"
            );
        }
        Ok(part)
    }

    /// What cargo-mutants makes, `all` if it is not a part. Each survivor must be explained.
    pub fn mutants(&self, mutants: &[Mutant], all: usize) -> Result<Part, String> {
        let mut part = Part { text: String::new(), problems: Vec::new() };
        let mut modules: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut total = Tally::default();
        let mut survivors = Vec::new();
        let mut waiting = 0;
        for mutant in mutants {
            let planted = mutant.plant(&self.root)?;
            let Some(Outcome { verdict, .. }) = self.outcome(mutants::SOURCE, &planted) else {
                waiting += 1;
                continue;
            };
            modules.entry(&mutant.file).or_default().count(verdict);
            total.count(verdict);
            if *verdict == Verdict::Survived {
                survivors.push((mutant, mutant.source(&self.root)?));
            }
        }
        let nets = Net::ALL.map(Net::name);
        if waiting > 0 {
            part.problems
                .push(format!("{waiting} of {} mutants are not hunted yet", mutants.len()));
        }
        let _ = write!(
            part.text,
            "## What cargo-mutants makes\n\n\
             Of {} mutants {waiting} have not been planted yet. {} of {} viable mutants are caught ({:.1} %), {} of them by a timeout; {} do not \
             compile. A mutant is planted until the first net catches it, from left to right; shuttle has {SCHEDULES} \
             schedules of each test for it.\n\n\
             | module | viable | {} | timeouts | survivors |\n| --- | --- {}| --- | --- |\n",
            mutants.len(),
            total.killed(),
            total.viable(),
            100.0 * total.killed() as f64 / total.viable().max(1) as f64,
            total.timeouts,
            total.unviable,
            nets.join(" | "),
            "| --- ".repeat(nets.len()),
        );
        for (file, tally) in modules.iter().chain([(&"all", &total)]) {
            let _ = writeln!(part.text, "| {file} | {} |", tally.row());
        }
        part.text += "\n### Survivors\n\n| mutant | why it is no fault |\n| --- | --- |\n";
        for (mutant, source) in &survivors {
            let reason = self.reasons.iter().find(|reason| reason.is_about(mutant, source));
            let why = reason.map_or("**unexplained**", |reason| reason.why.as_str());
            let (file, line, what) = (&mutant.file, mutant.line(), cell(mutant.what()));
            let _ = writeln!(part.text, "| {file}:{line}: {what} | {} |", cell(why));
            if reason.is_none() {
                part.problems.push(format!("survived, unexplained: {}", mutant.id()));
            }
        }
        // Of a part of the mutants nothing can be said about the other reasons.
        if mutants.len() == all {
            let idle = self.reasons.iter().flat_map(|reason| reason.idle(&survivors));
            part.problems.extend(idle.map(|what| format!("explained, but no survivor: {what}")));
        }
        Ok(part)
    }

    /// Writes the report.
    pub fn write(
        &self,
        clean: &Clean,
        faults: &[Fault],
        mutants: &[Mutant],
    ) -> Result<Vec<String>, String> {
        let (faults, mutants) = (self.faults(faults)?, self.mutants(mutants, mutants.len())?);
        let text = format!("{}{}{}", nets(clean), faults.text, mutants.text);
        let path = self.root.join("results/verification.md");
        fs::write(path, text).map_err(|error| error.to_string())?;
        Ok(faults.problems.into_iter().chain(mutants.problems).collect())
    }
}

/// The nets without a fault.
fn nets(clean: &Clean) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let run = "cargo run --release -p ptfrag-verify --";
    let mut text = format!(
        "# Verification\n\n\
         `{run} clean`, `{run} faults` and `{run} mutants` (for which `cargo install \
         cargo-mutants`) find what is in this file, and `{run} report` writes it.\n\
         Measured on {}, {cores} cores, {}; times are seconds, of tests run one after the \
         other.\n\n\
         ## Nets\n\n| net | tests | s |\n| --- | --- | --- |\n",
        processor(),
        clean.date,
    );
    for net in &clean.nets {
        let _ = writeln!(text, "| {} | {} | {:.1} |", net.net, net.tests.len(), net.seconds);
    }
    let models = &clean.models;
    let free = models.iter().filter(|model| model.bound == "exhaustive").count();
    let _ = write!(
        text,
        "\n## Models\n\n{} models under loom, {free} of them exhaustive: every order of their \
         steps is played.\n\n\
         | model | threads | explored | executions | s |\n\
         | --- | --- | --- | --- | --- |\n",
        models.len()
    );
    for model in models {
        let bound = match model.bound.as_str() {
            "exhaustive" => "exhaustive".to_owned(),
            bound => format!("at most {bound}"),
        };
        let (name, executions) = (&model.name, model.executions);
        let _ = writeln!(
            text,
            "| {name} | {} | {bound} | {executions} | {:.2} |",
            model.threads, model.seconds
        );
    }
    let scenes = &clean.scenes;
    let schedules: u64 = scenes.iter().map(|scene| scene.schedules).sum();
    let _ = write!(
        text,
        "\n## Scenes\n\n{schedules} schedules under shuttle in an ordinary run.\n\n\
         | scene | scheduler | schedules | s |\n| --- | --- | --- | --- |\n"
    );
    for scene in scenes {
        let (name, scheduler) = (&scene.name, &scene.scheduler);
        let (schedules, seconds) = (scene.schedules, scene.seconds);
        let _ = writeln!(text, "| {name} | {scheduler} | {schedules} | {seconds:.2} |");
    }
    text.push('\n');
    text
}

/// How many of which verdict.
#[derive(Default)]
struct Tally {
    by_net: [usize; Net::ALL.len()],
    timeouts: usize,
    survivors: usize,
    unviable: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Killed { net, timeout, .. } => {
                let at = Net::ALL.iter().position(|known| known.name() == net);
                at.into_iter().for_each(|at| self.by_net[at] += 1);
                self.timeouts += usize::from(*timeout);
            }
            Verdict::Survived => self.survivors += 1,
            Verdict::Unviable { .. } => self.unviable += 1,
        }
    }

    fn killed(&self) -> usize {
        self.by_net.iter().sum()
    }

    fn viable(&self) -> usize {
        self.killed() + self.survivors
    }

    fn row(&self) -> String {
        let nets = self.by_net.map(|count| count.to_string()).join(" | ");
        format!("{} | {nets} | {} | {}", self.viable(), self.timeouts, self.survivors)
    }
}

/// What is wrong about this verdict, if anything.
fn unexpected(fault: &Fault, verdict: &Verdict) -> Option<String> {
    let right = match (verdict, &fault.killer) {
        (Verdict::Survived, None) => true,
        (verdict, Some(killer)) => verdict.is_kill_by(&killer.net, &killer.test),
        _ => false,
    };
    let expected = fault.killer.as_ref().map_or_else(
        || "to survive".to_owned(),
        |killer| format!("to be caught by {} {}", killer.net, killer.test),
    );
    (!right).then(|| format!("{}: {}; expected {expected}", fault.id, catcher(verdict)))
}

fn catcher(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Killed { net, test, timeout } => {
            let test = test.as_deref().map_or(String::new(), |test| format!(" {test}"));
            format!("{net}{test}{}", if *timeout { " (timeout)" } else { "" })
        }
        Verdict::Survived => "**nothing**".to_owned(),
        Verdict::Unviable { net, .. } => format!("**does not compile** ({net})"),
    }
}

/// Text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}
