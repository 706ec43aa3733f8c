//! What became of the mutants that cargo-mutants makes.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Findings, Part, catcher, cell};
use crate::{
    mutants::Mutant,
    nets::{Net, SCHEDULES},
    store::{Outcome, Verdict},
};

impl Findings {
    /// What cargo-mutants makes, `all` if it is not a part, and what became of each
    /// that compiles. Each survivor must be explained.
    pub fn mutants(&self, mutants: &[Mutant], all: usize) -> Result<(Part, String), String> {
        let mut part = Part { text: String::new(), problems: Vec::new() };
        let mut each = String::new();
        let mut modules: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut total = Tally::default();
        let mut survivors = Vec::new();
        let mut waiting = 0;
        for mutant in mutants {
            let Some(Outcome { verdict, .. }) = self.store.get(&mutant.key(&self.root)?) else {
                waiting += 1;
                continue;
            };
            modules.entry(&mutant.file).or_default().count(verdict);
            total.count(verdict);
            if !matches!(verdict, Verdict::Unviable { .. }) {
                let _ = writeln!(each, "| {} | {} |", place(mutant), cell(&catcher(verdict)));
            }
            if *verdict == Verdict::Survived {
                survivors.push((mutant, mutant.source(&self.root)?));
            }
        }
        let nets = Net::ALL.map(Net::name);
        if waiting > 0 {
            let what = format!("{waiting} of {} mutants are not hunted yet", mutants.len());
            let _ = write!(part.text, "**{what}.** ");
            part.problems.push(what);
        }
        let _ = write!(
            part.text,
            "{} of {} viable mutants are caught ({:.1} %), {} of them by a timeout; {} do not \
             compile. Unsafe functions are mutated like all others. A mutant is planted until the \
             first net catches it, from left to right; shuttle has {SCHEDULES} schedules of each \
             test for it.\n\n\
             | module | viable | {} | timeouts | survivors |\n| --- | --- {}| --- | --- |\n",
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
        part.text += "\n## Survivors\n\n| mutant | why it is no fault |\n| --- | --- |\n";
        for (mutant, source) in &survivors {
            let reason = self.reasons.iter().find(|reason| reason.is_about(mutant, source));
            let why = reason.map_or("**unexplained**", |reason| reason.why.as_str());
            let _ = writeln!(part.text, "| {} | {} |", place(mutant), cell(why));
            if reason.is_none() {
                part.problems.push(format!("survived, unexplained: {}", mutant.id()));
            }
        }
        // Of a part of the mutants nothing can be said about the other reasons.
        if mutants.len() == all {
            let idle = self.reasons.iter().flat_map(|reason| reason.idle(&survivors));
            part.problems.extend(idle.map(|what| format!("explained, but no survivor: {what}")));
        }
        Ok((part, each))
    }
}

fn place(mutant: &Mutant) -> String {
    format!("{}:{}: {}", mutant.file, mutant.line(), cell(mutant.what()))
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
