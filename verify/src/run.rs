//! Running a command: with a limit of time, and no longer than until its first failed test.

use std::{
    io::{self, BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{self, Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use crate::output::Output;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// It said which test failed, and was stopped there; or just failed.
    Failed,
    TimedOut,
}

/// What became of a command.
pub struct Run {
    pub ended: Ended,
    /// What it printed on both of its outputs.
    pub output: Output,
    pub seconds: f64,
}

/// The groups that are running.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A command and its process group, which ends with this.
struct Group {
    child: Child,
    pid: Pid,
}

impl Group {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.process_group(0).spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        groups.push(pid);
        Ok(Self { child, pid })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group may outlive its first process, so it goes whether or not that is done. It is
        // waited for only after that: until then nobody else gets its number.
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        let _gone = killpg(self.pid, Signal::SIGKILL);
        groups.retain(|pid| *pid != self.pid);
        drop(groups);
        let _status = self.child.wait();
    }
}

/// Takes the running commands along when this program is interrupted: in groups of their own they
/// hear nothing of it, and a fault may have made one of them endless.
pub fn end_together() -> Result<(), String> {
    let end = || {
        let groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        for &pid in groups.iter() {
            let _gone = killpg(pid, Signal::SIGKILL);
        }
        // With the lock held, so that nobody starts another one.
        process::exit(130);
    };
    ctrlc::set_handler(end).map_err(|error| error.to_string())
}

/// Runs `command`.
pub fn run(mut command: Command, limit: Duration) -> io::Result<Run> {
    let start = Instant::now();
    let (output, input) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let group = Group::start(&mut command)?;
    // The command holds the other end of the pipe, which must be the process's alone.
    drop(command);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let mut printed = Output::default();
    let mut ended = None;
    while ended.is_none() {
        match lines.recv_timeout(limit.saturating_sub(start.elapsed())) {
            Ok(line) => {
                printed.add(&line);
                if printed.has_failed() {
                    ended = Some(Ended::Failed);
                }
            }
            Err(RecvTimeoutError::Timeout) => ended = Some(Ended::TimedOut),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let ended = match ended {
        Some(ended) => ended,
        None if success(&group)? => Ended::Well,
        None => Ended::Failed,
    };
    drop(group);
    // What was on its way when the group was stopped names the test that was running.
    lines.iter().for_each(|line| printed.add(&line));
    Ok(Run { ended, output: printed, seconds: start.elapsed().as_secs_f64() })
}

/// Whether the command, which has closed its output, went well. It is not waited for in the way that
/// would free its number.
fn success(group: &Group) -> io::Result<bool> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    Ok(matches!(waitid(Id::Pid(group.pid), flags)?, WaitStatus::Exited(_, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, Duration::from_secs(limit)).unwrap()
    }

    #[test]
    fn both_outputs_are_read() {
        let run = shell("echo out; echo err >&2", 60);
        assert_eq!(run.ended, Ended::Well);
        assert_eq!(run.output.said(), ["out", "err"]);
        assert_eq!(shell("exit 3", 60).ended, Ended::Failed);
    }

    #[test]
    fn a_failed_test_ends_the_run() {
        let run = shell("echo 'test a ... FAILED'; sleep 1000", 1000);
        assert_eq!((run.ended, run.output.culprit()), (Ended::Failed, Some("a")));
    }

    #[test]
    fn what_takes_too_long_is_stopped_and_read_to_its_end() {
        let run = shell("printf 'test a ... '; sleep 1000", 1);
        assert_eq!(run.ended, Ended::TimedOut);
        assert_eq!(run.output.culprit(), Some("a"));
    }
}
