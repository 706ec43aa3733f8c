//! What the nets say of themselves.

use std::{fmt::Write as _, fs, path::Path, process::Command, thread};

use super::RUN;
use crate::clean::Clean;

/// The nets without a fault.
pub(super) fn nets(root: &Path, clean: &Clean) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "# Verification\n\n\
         `{RUN} clean` and `{RUN} faults` find what is in this file, and `{RUN} report` writes it; \
         [`verify/`](../verify/README.md) tells more. What cargo-mutants makes is in \
         [`mutants.md`](mutants.md), of the commit that it names.\n\
         The nets ran on {}, {cores} cores, {}, and what is reported is of commit {}. Times are \
         seconds, of tests run one after the other.\n\n\
         ## Nets\n\n| net | tests | s |\n| --- | --- | --- |\n",
        processor(),
        clean.date,
        commit(root),
    );
    for net in &clean.nets {
        let _ = writeln!(text, "| {} | {} | {:.1} |", net.net, net.tests.len(), net.seconds);
    }
    let models = &clean.models;
    let free = models.iter().filter(|model| model.bound == "exhaustive").count();
    let _ = write!(
        text,
        "\n## Models\n\n{} models under loom, {free} of them exhaustive: without a bound on \
         preemptions. loom plays all orders but those that it takes for the same as one that it has \
         played. It looks for others from the last access of a word only, so the load that begins a \
         loop can hide what conflicts with its exchange: hence models of three threads, and of \
         exchanges that fail for nothing (`spurious`).\n\n\
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
        "\n## Scenes\n\n{schedules} schedules under shuttle in an ordinary run; \
         `PTFRAG_SHUTTLE_ITERATIONS=x10 cargo test -p ptfrag-shuttle` has ten times as many.\n\n\
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

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}

/// The commit that is checked out.
pub(super) fn commit(root: &Path) -> String {
    let mut command = Command::new("git");
    command.args(["rev-parse", "--short", "HEAD"]).current_dir(root);
    let output = command.output().ok().filter(|output| output.status.success());
    let name = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    name.unwrap_or_else(|| "unknown".to_owned())
}
