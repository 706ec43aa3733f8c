//! The nets on the source as it is: how long they take, and what they say of themselves.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    nets::Net,
    run::{Ended, Run, run},
    store,
    tree::{self, Files, Tree},
};

/// More than enough.
const HOUR: Duration = Duration::from_secs(3600);

/// A run of all nets, all of which passed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Clean {
    /// The fingerprint of the source.
    pub source: u64,
    pub date: String,
    pub nets: Vec<CleanNet>,
    pub models: Vec<Model>,
    pub scenes: Vec<Scene>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct CleanNet {
    pub net: String,
    pub seconds: f64,
    pub tests: Vec<String>,
}

/// `model <name>: <executions> executions, <bound>, <threads> threads, <seconds> s`
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub executions: u64,
    pub bound: String,
    pub threads: u32,
    pub seconds: f64,
}

/// `scene <name>: <schedules> schedules, <scheduler>, <seconds> s`
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub name: String,
    pub schedules: u64,
    pub scheduler: String,
    pub seconds: f64,
}

impl Model {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("model ")?.split_once(": ")?;
        let [executions, bound, threads, seconds] = fields(rest)?;
        Some(Self {
            name: name.to_owned(),
            executions: executions.strip_suffix(" executions")?.parse().ok()?,
            bound: bound.to_owned(),
            threads: threads.strip_suffix(" threads")?.parse().ok()?,
            seconds: seconds.strip_suffix(" s")?.parse().ok()?,
        })
    }
}

impl Scene {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("scene ")?.split_once(": ")?;
        let [schedules, scheduler, seconds] = fields(rest)?;
        Some(Self {
            name: name.to_owned(),
            schedules: schedules.strip_suffix(" schedules")?.parse().ok()?,
            scheduler: scheduler.to_owned(),
            seconds: seconds.strip_suffix(" s")?.parse().ok()?,
        })
    }
}

fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(", ").collect::<Vec<_>>().try_into().ok()
}

impl Clean {
    /// The stored run, if it was of this source; else a new one, in `tree`.
    pub fn get(dir: &Path, tree: &Tree, files: &Files) -> Result<Self, String> {
        let path = dir.join("clean.json");
        let source = tree::fingerprint(files);
        if let Some(clean) = store::restore::<Self>(&path).filter(|old| old.source == source) {
            return Ok(clean);
        }
        let mut clean = Self {
            source,
            date: date()?,
            nets: Vec::new(),
            models: Vec::new(),
            scenes: Vec::new(),
        };
        for net in Net::ALL {
            clean.add(net, tree)?;
        }
        store::save(&path, &clean)?;
        Ok(clean)
    }

    /// How long each net took.
    pub fn seconds(&self) -> BTreeMap<Net, f64> {
        let known = |clean: &CleanNet| Some((Net::by_name(&clean.net)?, clean.seconds));
        self.nets.iter().filter_map(known).collect()
    }

    /// Whether a net has a test of that name, which passes.
    pub fn has(&self, net: Net, test: &str) -> bool {
        let mut tests = self.nets.iter().filter(|clean| clean.net == net.name());
        tests.any(|clean| clean.tests.iter().any(|name| name == test))
    }

    fn add(&mut self, net: Net, tree: &Tree) -> Result<(), String> {
        if let Some(build) = net.build(tree, &[])? {
            passed(net, run(build, HOUR))?;
        }
        let mut test = net.test(tree, &[])?;
        // The names of the tests as they go, and what they print behind them all.
        test.arg("--show-output");
        let done = passed(net, run(test, HOUR))?;
        let tests = done.output.passed().to_vec();
        if tests.is_empty() {
            return Err(format!("{}: no tests", net.name()));
        }
        eprintln!("{}: {} tests passed, {:.1} s", net.name(), tests.len(), done.seconds);
        for line in done.output.said() {
            let bad = || format!("not understood: {line}");
            if line.starts_with("model ") {
                self.models.push(Model::parse(line).ok_or_else(bad)?);
            } else if line.starts_with("scene ") {
                self.scenes.push(Scene::parse(line).ok_or_else(bad)?);
            }
        }
        self.nets.push(CleanNet { net: net.name().into(), seconds: done.seconds, tests });
        Ok(())
    }
}

fn passed(net: Net, run: std::io::Result<Run>) -> Result<Run, String> {
    let run = run.map_err(|error| error.to_string())?;
    if run.ended == Ended::Well {
        return Ok(run);
    }
    Err(format!(
        "{} fails without any fault, in {:?}:\n{}",
        net.name(),
        run.output.culprit(),
        run.output.said().join("\n")
    ))
}

/// Today's, as `results/` has it.
fn date() -> Result<String, String> {
    let output = Command::new("date").args(["-u", "+%-d %B %Y"]).env("LC_ALL", "C").output();
    let output = output.map_err(|error| format!("date: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_scenes_are_read() {
        let model = Model::parse(
            "model take::two_takers: 123 executions, 3 preemptions, 3 threads, 0.25 s",
        );
        let model = model.unwrap();
        assert_eq!((model.name.as_str(), model.executions), ("take::two_takers", 123));
        assert_eq!((model.bound.as_str(), model.threads), ("3 preemptions", 3));
        assert!((model.seconds - 0.25).abs() < 1e-9);
        let scene =
            Scene::parse("scene churn::batches: 40000 schedules, PCT of depth 3, 1.5 s").unwrap();
        assert_eq!((scene.schedules, scene.scheduler.as_str()), (40_000, "PCT of depth 3"));
        assert_eq!(Model::parse("model x: 12 runs, exhaustive, 2 threads, 1 s"), None);
        assert_eq!(Model::parse("model x: 12 executions, exhaustive, 1 s"), None);
    }
}
