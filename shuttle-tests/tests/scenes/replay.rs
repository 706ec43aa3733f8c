//! The command that a failing schedule prints replays it: tested with scenes that are wrong when
//! they are told to be.

use std::{
    env,
    process::{Command, Output},
};

use shuttle::thread;

use crate::support::{Held, Walk, World, below, explore};

/// Set to have the scenes here go wrong.
const WRONG: &str = "PTFRAG_SHUTTLE_WRONG";

fn is_wrong() -> bool {
    env::var_os(WRONG).is_some()
}

/// A reader looks again at what it found. When it goes wrong, it has left its section meanwhile,
/// and the fragment may have been reclaimed, or be another by then.
fn read() {
    let world = World::<16>::new(2);
    let mm = world.mm(false);
    let place = mm.place(false);
    mm.show(&place, mm.alloc().ok());
    thread::scope(|scope| {
        let (world, mm, place) = (&world, &mm, &place);
        scope.spawn(move || {
            let guard = world.domain().read_section();
            let seen = mm.look(place, &guard);
            let guard = if is_wrong() {
                drop(guard);
                world.domain().read_section()
            } else {
                guard
            };
            seen.iter().for_each(|seen| mm.look_again(seen));
            drop(guard);
        });
        scope.spawn(move || {
            for _ in 0..4 {
                mm.show(place, mm.alloc().ok());
                world.domain().attempt();
            }
        });
    });
    mm.show(&place, None);
    drop(mm);
    world.finish();
}

/// Threads retire and ask for callbacks. When it goes wrong, the hook panics once in a while, which
/// ends the process: nothing may unwind out of a callback.
fn call_back() {
    let world = World::<16>::new(4);
    let mm = world.mm(false);
    let fatal = is_wrong().then(|| mm.keep_fatal());
    thread::scope(|scope| {
        for _ in 0..3 {
            let (world, mm) = (&world, &mm);
            scope.spawn(move || {
                Held::retire_all(mm.alloc_some(1 + below(4)));
                world.domain().attempt();
            });
        }
    });
    world.domain().drain();
    drop(fatal);
    drop(mm);
    world.finish();
}

#[test]
fn reader() {
    explore(concat!(module_path!(), "::reader"), Walk::Random, 400, read);
}

#[test]
fn planning_reader() {
    explore(concat!(module_path!(), "::planning_reader"), Walk::Pct(3), 400, read);
}

#[test]
fn uniform_reader() {
    explore(concat!(module_path!(), "::uniform_reader"), Walk::Uniform, 400, read);
}

#[test]
fn callback() {
    explore(concat!(module_path!(), "::callback"), Walk::Random, 400, call_back);
}

/// Runs this program again.
fn again(args: &[&str], seed: Option<&str>, wrong: bool) -> (Output, String) {
    let mut command = Command::new(env::current_exe().expect("a path to this program"));
    command.args(args).env_remove("PTFRAG_SHUTTLE_SEED").env_remove(WRONG);
    // Enough for the fault to be met, whatever the run that this is a part of is like.
    command.env("PTFRAG_SHUTTLE_ITERATIONS", "100000");
    command.envs(seed.map(|seed| ("PTFRAG_SHUTTLE_SEED", seed)));
    command.envs(wrong.then_some((WRONG, "1")));
    let output = command.output().expect("this program runs once more");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

/// The line that begins with `start`, without that.
fn line<'t>(text: &'t str, start: &str) -> &'t str {
    let found = text.lines().find_map(|line| line.strip_prefix(start));
    found.unwrap_or_else(|| panic!("no line begins with {start:?} in:\n{text}"))
}

/// Has a scene go wrong, runs what its report says, and expects the same fault of it: the text
/// from `start` to the end of its line, fragments' addresses aside, but not their stamps.
fn replays(test: &str, start: &str) {
    let fault = |text: &str| {
        let at = text.find(start).unwrap_or_else(|| panic!("no {start:?} in:\n{text}"));
        let words = text[at..].lines().next().unwrap_or_default().split(' ');
        words
            .filter(|word| !(word.starts_with("0x") && word.len() > 10))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (first, text) = again(&["--exact", test], None, true);
    assert!(!first.status.success(), "{test} did not go wrong:\n{text}");
    let command = line(&text, "replay: ");
    let (seed, args) = command
        .strip_prefix("PTFRAG_SHUTTLE_SEED=")
        .and_then(|rest| rest.split_once(" cargo test -p ptfrag-shuttle --test scenes -- "))
        .unwrap_or_else(|| panic!("not the command for this program: {command}"));
    let args: Vec<_> = args.split(' ').collect();
    let (second, repeated) = again(&args, Some(seed), true);
    assert!(!second.status.success(), "{command} did not replay:\n{text}\nbut:\n{repeated}");
    assert_eq!(fault(&text), fault(&repeated));
    assert_eq!(command, line(&repeated, "replay: "));
    // It was the scene's fault, and not the seed's.
    let (sound, text) = again(&args, Some(seed), false);
    assert!(sound.status.success(), "{command} fails without the fault:\n{text}");
    assert!(line(&text, &format!("scene {test}: ")).starts_with("100 schedules, "));
}

#[test]
fn faults_replay() {
    replays("replay::reader", "under a reader");
    replays("replay::planning_reader", "under a reader");
    replays("replay::uniform_reader", "under a reader");
}

#[test]
fn faults_in_callbacks_replay() {
    replays("replay::callback", "fatal hook");
}
