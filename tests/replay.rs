//! The example program `replay`, run as a user runs it.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

/// Two pages of two fragments each; the first table's fragment can serve the fourth.
const SMALL: &str = "# two pages
0 0 0 A pgd 0
0 0 0 A pte 1
10 1 0 A pte 2
20 0 0 A pte 3
30 1 0 F pte 1
40 0 0 A pte 4
50 0 0 F pte 2
60 1 0 F pte 3
70 0 0 F pte 4
80 0 0 F pgd 0
100 0 1 A pgd 5
";

const POLICIES: [&str; 5] = ["one page per table", "powerpc", "s390", "ptfrag", "ptfrag, per CPU"];

/// The traces that ship.
const RECORDED: [&str; 5] = ["cargo", "ndarray", "postgres", "python", "shell"];

/// A folder of its own for each run, which also stands in for the project's.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ptfrag-replay-{}-{n}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, with this folder as the project and nothing on its standard input.
    fn program(&self) -> Command {
        // `cargo test` builds the examples beside the tests' own folder.
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let program =
            profile.join("examples").join(format!("replay{}", std::env::consts::EXE_SUFFIX));
        assert!(
            program.exists(),
            "not built: run `cargo test`, or `cargo build --example replay` first"
        );
        let mut command = Command::new(program);
        command.current_dir(&self.0).env("CARGO_MANIFEST_DIR", &self.0).stdin(Stdio::null());
        command
    }

    fn run(&self, trace: &Path, options: &[&str]) -> Output {
        self.program().arg("--trace").arg(trace).args(options).output().unwrap()
    }

    /// Runs and reads the JSON document, which has to be all that is printed.
    fn json(&self, trace: &Path, options: &[&str]) -> Value {
        let output = self.run(trace, &[&["--json", "--no-plot"], options].concat());
        assert_eq!(text(&output.stderr), "");
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn recorded(name: &str) -> PathBuf {
    format!("{}/traces/{name}.trace.gz", env!("CARGO_MANIFEST_DIR")).into()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// `[peak, mean, taken, locks, calls, reused]` of a policy of the only trace, with the shortest grace
/// periods.
fn figures(document: &Value, policy: &str) -> [f64; 6] {
    figures_in(&document["traces"][0], policy)
}

/// The same of what has a list of policies.
fn figures_in(part: &Value, policy: &str) -> [f64; 6] {
    let policies = part["policies"].as_array().unwrap();
    let of = policies.iter().find(|one| one["name"] == policy).unwrap();
    ["pages_peak", "pages_mean", "pages_taken", "lock_acquisitions", "rcu_calls", "reused"]
        .map(|key| of[key].as_f64().unwrap())
}

#[track_caller]
fn refused(content: impl AsRef<[u8]>, at: &str, what: &str) {
    let folder = Folder::new();
    let trace = folder.file("bad.trace", content);
    for options in [&["--json"][..], &["--threads"], &[]] {
        let output = folder.run(&trace, options);
        assert_eq!(text(&output.stderr), format!("replay: {}:{at} {what}\n", trace.display()));
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stdout), "");
    }
    assert!(!folder.0.join("results").exists(), "something was written");
}

#[test]
fn figures_by_hand() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let document = folder.json(&trace, &["--frags", "2"]);
    let [first] = &document["traces"].as_array().unwrap()[..] else { panic!("one trace") };
    assert_eq!((&first["name"], &first["events"]), (&"small".into(), &11.into()));
    assert_eq!(first["policies"].as_array().unwrap().len(), 5);

    assert_eq!(figures(&document, "one page per table"), [3.0, 1.4, 4.0, 0.0, 4.0, 0.0]);
    assert_eq!(figures(&document, "powerpc"), [2.0, 1.0, 2.0, 4.0, 4.0, 0.0]);
    assert_eq!(figures(&document, "s390"), [2.0, 1.0, 2.0, 8.0, 4.0, 0.0]);
    let [peak, mean, taken, locks, calls, reused] = figures(&document, "ptfrag");
    assert_eq!([peak, mean, taken, reused], [2.0, 1.1, 2.0, 1.0]);
    // Each of the four frees finds nothing pending on its page, and an empty page needs no call.
    assert_eq!(calls, 4.0);
    // Every allocation here needs the list, and so does every callback but the release.
    assert!(locks >= 8.0, "{locks}");
    // The CPUs keep what they freed until the mm exits.
    let [peak, mean, taken, .., reused] = figures(&document, "ptfrag, per CPU");
    assert_eq!([peak, mean, taken, reused], [2.0, 1.4, 2.0, 0.0]);
}

#[test]
fn grace_periods_hold_pages() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let document = folder.json(&trace, &["--frags", "2", "--grace-us", "15"]);
    assert_eq!(figures(&document, "one page per table"), [4.0, 2.45, 4.0, 0.0, 4.0, 0.0]);
    assert_eq!(figures(&document, "powerpc")[..2], [2.0, 1.45]);
    // The first table's fragment is not free yet when the fourth comes.
    let [peak, _, taken, .., reused] = figures(&document, "ptfrag");
    assert_eq!([peak, taken, reused], [2.0, 2.0, 0.0]);
}

#[test]
fn lengths_of_grace_periods_in_json() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let lengths = |document: &Value| -> Vec<u64> {
        let graces = document["traces"][0]["grace_periods"].as_array().unwrap();
        graces.iter().map(|grace| grace["us"].as_u64().unwrap()).collect()
    };
    assert_eq!(lengths(&folder.json(&trace, &[])), [0, 1000, 10_000, 30_000, 100_000]);

    // In whatever way they are given they come shortest first, each as if it were alone.
    let options = ["--frags", "2", "--grace-us", "15,40", "--grace-us", "0"];
    let document = folder.json(&trace, &options);
    assert_eq!(lengths(&document), [0, 15, 40]);
    let trace_of = &document["traces"][0];
    assert_eq!(trace_of["policies"], trace_of["grace_periods"][0]["policies"]);
    for grace in trace_of["grace_periods"].as_array().unwrap() {
        let names: Vec<_> =
            grace["policies"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, POLICIES);
        let us = grace["us"].to_string();
        let alone = folder.json(&trace, &["--frags", "2", "--grace-us", &us]);
        assert_eq!(grace["policies"], alone["traces"][0]["policies"]);
    }
    let [none, short, long] = [0, 1, 2].map(|n| {
        let grace = &trace_of["grace_periods"][n];
        figures_in(grace, "one page per table")[..2].to_vec()
    });
    assert_eq!([none, short, long], [[3.0, 1.4], [4.0, 2.45], [4.0, 3.1]]);
}

#[test]
fn lengths_of_grace_periods_in_tables() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let output = folder.run(&trace, &["--frags", "2", "--grace-us", "1000,0,15"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let printed = text(&output.stdout);
    let lines: Vec<_> =
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "grace periods 0 15 us 1 ms",
        "pages: peak one page per table 3 4 4",
        "pages: taken powerpc 2 2 2",
        "RCU calls powerpc 4 4 4",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line} is not in\n{printed}");
    }
    assert!(printed.contains(" Grace periods take no time.\n"), "{printed}");
    assert!(printed.ends_with("\nPicture: results/replay-grace.svg\n"), "{printed}");
    let picture = fs::read_to_string(folder.0.join("results/replay-grace.svg")).unwrap();
    for word in ["small", "grace period (ms)", "pages (log"].iter().chain(&POLICIES) {
        assert!(picture.contains(&format!("\n{word}")), "{word} is not in the picture");
    }

    // One length leaves nothing to compare.
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let output = folder.run(&trace, &["--grace-us", "15"]);
    let printed = text(&output.stdout);
    assert!(printed.contains(" Grace periods take 15 us.\n"), "{printed}");
    assert!(!printed.contains("grace periods ") && !printed.contains("replay-grace"), "{printed}");
    assert!(!folder.0.join("results/replay-grace.svg").exists());
}

/// Nor does where the heap puts things change anything; glibc's is told to put them elsewhere.
#[test]
fn every_run_prints_and_draws_the_same() {
    let run = |tunables: &str| {
        let folder = Folder::new();
        let mut program = folder.program();
        for name in RECORDED {
            program.arg("--trace").arg(recorded(name));
        }
        let output = program.env("GLIBC_TUNABLES", tunables).output().unwrap();
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
        let pictures = RECORDED.iter().chain(&["grace"]).map(|name| {
            fs::read_to_string(folder.0.join(format!("results/replay-{name}.svg"))).unwrap()
        });
        (text(&output.stdout).to_owned(), pictures.collect::<Vec<_>>())
    };
    let (printed, pictures) = run("");
    for tunables in ["", "glibc.malloc.tcache_count=0", "glibc.malloc.mmap_threshold=256"] {
        let (again, drawn) = run(tunables);
        assert!(again == printed, "{tunables}: {again}\nbut before:\n{printed}");
        assert!(drawn == pictures, "{tunables}: a picture differs");
    }
}

/// With grace periods of a length that kernels have ptfrag holds hardly more pages than powerpc, which
/// never reuses a fragment, and with long ones not many more.
#[test]
fn peaks_with_grace_periods_that_take_time() {
    let folder = Folder::new();
    for name in RECORDED {
        let document = folder.json(&recorded(name), &["--grace-us", "10000,30000,100000"]);
        for grace in document["traces"][0]["grace_periods"].as_array().unwrap() {
            let ([powerpc, ..], [ptfrag, ..]) =
                (figures_in(grace, "powerpc"), figures_in(grace, "ptfrag"));
            let us = grace["us"].as_u64().unwrap();
            let most = if us <= 30_000 { 1.05 * powerpc + 1.0 } else { 1.1 * powerpc };
            assert!(ptfrag <= most, "{name}, {us} us: {ptfrag} pages, and powerpc has {powerpc}");
        }
    }
}

#[test]
fn levels_are_chosen() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let document = folder.json(&trace, &["--levels", "pgd,pte"]);
    assert_eq!(figures(&document, "one page per table")[2], 6.0);
    let document = folder.json(&trace, &["--levels", "pud"]);
    for policy in POLICIES {
        assert_eq!(figures(&document, policy), [0.0; 6]);
    }
}

#[test]
fn an_mm_without_a_pgd_and_a_table_after_its_exit() {
    let folder = Folder::new();
    let trace = "0 0 7 A pte 1\n1 0 8 A pgd 2\n2 0 8 A pte 3\n3 0 8 F pgd 2\n4 0 8 F pte 3\n\
                 5 0 8 A pte 4\n";
    let trace = folder.file("late.trace", trace);
    let document = folder.json(&trace, &[]);
    assert_eq!(figures(&document, "powerpc")[..3], [2.0, 1.4, 3.0]);
    assert_eq!(figures(&document, "ptfrag")[2], 3.0);
    assert_eq!(figures(&document, "ptfrag, per CPU")[2], 3.0);
    for options in [&["--threads"][..], &["--threads", "--bare"]] {
        let output = folder.run(&trace, options);
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    }
}

#[test]
fn gzip_and_plain_are_the_same() {
    let folder = Folder::new();
    let plain = folder.json(&folder.file("small.trace", SMALL), &[]);
    let packed = folder.json(&folder.file("small.trace.gz", gzip(SMALL)), &[]);
    assert_eq!(plain, packed);
}

#[test]
fn tables_and_pictures() {
    let folder = Folder::new();
    let trace = folder.file("small.trace.gz", gzip(SMALL));
    let output = folder.run(&trace, &[]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let table = text(&output.stdout);
    for word in ["small", "one page per table", "powerpc", "s390", "ptfrag  ", "per CPU", "peak"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let picture = fs::read_to_string(folder.0.join("results/replay-small.svg")).unwrap();
    for word in ["<svg", "time (s)", "pages held", "powerpc", "ptfrag (", "per CPU (", "one page"] {
        assert!(picture.contains(word), "{word} is not in the picture");
    }

    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    assert!(folder.run(&trace, &["--no-plot"]).status.success());
    assert!(!folder.0.join("results").exists());
}

#[test]
fn traces_of_one_name() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    let more = ["--trace", trace.to_str().unwrap()];
    let document = folder.json(&trace, &more);
    assert_eq!(document["traces"][1]["name"], "small-2");
    assert!(folder.run(&trace, &more).status.success());
    assert!(folder.0.join("results/replay-small-2.svg").exists());

    // The picture of all traces has a name as well.
    let trace = folder.file("grace.trace", SMALL);
    assert_eq!(folder.json(&trace, &[])["traces"][0]["name"], "grace-2");
}

#[test]
fn the_ends_of_time() {
    let folder = Folder::new();
    let end = u64::MAX;
    for (first, last) in [(0, end), (end, end), (0, 0)] {
        let trace = format!("{first} 0 0 A pte 1\n{first} 0 0 A pte 2\n{last} 0 0 F pte 1\n");
        let trace = folder.file("end.trace", trace);
        for grace in ["0", "18446744073709551615", "0,18446744073709551615"] {
            let output = folder.run(&trace, &["--grace-us", grace]);
            assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
        }
    }
}

#[test]
fn the_projects_own_traces() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("traces")).unwrap();
    folder.file("traces/b.trace.gz", gzip(SMALL));
    folder.file("traces/a.trace.gz", gzip(SMALL));
    let output = folder.program().args(["--json", "--no-plot"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["traces"][0]["name"], &document["traces"][1]["name"]),
        (&"a".into(), &"b".into())
    );
}

/// As in the published package.
#[test]
fn traces_that_are_not_there() {
    let output = Folder::new().program().output().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("come with the repository") && said.lines().count() == 1, "{said}");
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)));
}

#[test]
fn figures_of_recorded_traces() {
    let folder = Folder::new();
    let replayed = |name| folder.json(&recorded(name), &["--grace-us", "0"]);
    // The bound on the handles holds for every trace that ships.
    for name in RECORDED {
        let document = replayed(name);
        let [bare, .., calls, _] = figures(&document, "ptfrag");
        let [per_cpu, .., calls_per_cpu, _] = figures(&document, "ptfrag, per CPU");
        assert!(per_cpu <= bare * 1.05, "{name}: {per_cpu} pages, not {bare}");
        assert!(calls_per_cpu < calls, "{name}: {calls_per_cpu} calls, not {calls}");
    }
    let peak_and_taken = |document: &Value, policy| {
        let [peak, _, taken, ..] = figures(document, policy);
        (peak, taken)
    };
    let python = replayed("python");
    assert_eq!(peak_and_taken(&python, "powerpc"), (84.0, 1249.0));
    assert_eq!(peak_and_taken(&python, "ptfrag"), (62.0, 754.0));
    let ndarray = replayed("ndarray");
    assert_eq!(peak_and_taken(&ndarray, "powerpc"), (17.0, 141.0));
    assert_eq!(peak_and_taken(&ndarray, "ptfrag"), (17.0, 112.0));
    let shell = replayed("shell");
    assert_eq!(peak_and_taken(&shell, "powerpc"), peak_and_taken(&shell, "ptfrag"));
}

#[test]
fn threads() {
    let folder = Folder::new();
    let small = folder.file("small.trace", SMALL);
    for (options, handles) in [(&["--threads"][..], true), (&["--threads", "--bare"], false)] {
        let document = folder.json(&recorded("ndarray"), options);
        let trace = &document["traces"][0];
        assert_eq!((&trace["name"], &trace["threads"]), (&"ndarray".into(), &2.into()));
        assert_eq!((&trace["handles"], &trace["pages_left"]), (&handles.into(), &0.into()));
        for key in ["events_per_second", "walks_per_second", "pages_taken"] {
            assert!(trace[key].as_f64().unwrap() > 0.0, "{key}");
        }
        let output = folder.run(&small, options);
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
        assert!(text(&output.stdout).contains("walks per second"));
    }
}

#[test]
fn bad_lines() {
    refused("0 0 0 A pte 1\n1 0 0 X pte 1\n", "2:", "unknown op \"X\"");
    refused("0 0 0 A p4d 1\n", "1:", "unknown level \"p4d\"");
    refused("# c\n0 0 0 A pte\n", "2:", "5 columns, not 6");
    refused("0 zero 0 A pte 1\n", "1:", "cpu is \"zero\", not a number that fits");
    refused("9 0 0 A pte 1\n8 0 0 A pte 2\n", "2:", "time goes backwards, from 9 to 8");
    refused("0 0 0 A pte 1\n0 0 0 A pte 1\n", "2:", "table 1 is allocated twice");
    refused("0 0 0 A pte 1\n0 0 0 F pte 1\n0 0 0 F pte 1\n", "3:", "table 1 is freed twice");
    refused("0 0 0 F pte 1\n", "1:", "table 1 was never allocated");
    refused(b"0 0 0 A pte 1\n\xff\xfe\n", "2:", "not text");
}

#[test]
fn bad_files() {
    refused("", "1:", "no events");
    refused(gzip("# nothing\n"), "2:", "no events");
    let packed = gzip(SMALL);
    refused(&packed[..packed.len() - 3], "13:", "the gzip data end too early");
    refused(&packed[..3], "1:", "the gzip data end too early");

    let folder = Folder::new();
    for (path, what) in [("nowhere.trace", "there is no such file"), (".", "Is a directory")] {
        let output = folder.run(Path::new(path), &[]);
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with(&format!("replay: {path}: {what}")), "{stderr}");
        assert_eq!((stderr.lines().count(), output.status.code()), (1, Some(2)));
    }
}

#[test]
fn a_bad_trace_after_a_good_one() {
    let folder = Folder::new();
    let good = folder.file("good.trace", SMALL);
    let output = folder.run(&good, &["--trace", "nowhere.trace"]);
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(2)));
    assert!(!folder.0.join("results").exists());
}

#[test]
fn bad_options() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    for options in [
        &["--frags", "3"][..],
        &["--frags", "32"],
        &["--frag-size", "100"],
        &["--frag-size", "32768"],
        &["--levels", "p4d"],
        &["--grace-us", "-1"],
        &["--grace-us", "5 ms"],
        &["--grace-us", "5,,7"],
        &["--grace-us", ""],
        &["--grace-us", "5,7,5"],
        &["--threads", "--grace-us", "5"],
        &["--bare"],
    ] {
        let output = folder.run(&trace, options);
        assert_eq!((text(&output.stdout), output.status.code()), ("", Some(2)), "{options:?}");
        assert!(text(&output.stderr).starts_with("error: "), "{options:?}");
    }
}

#[test]
fn a_length_that_is_given_twice() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    for options in [&["--grace-us", "1000,7,1000"][..], &["--grace-us", "7", "--grace-us", "7"]] {
        let output = folder.run(&trace, options);
        let twice = if options.len() == 2 { 1000 } else { 7 };
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("error: --grace-us {twice} is given twice\n")), "{said}");
        assert_eq!((text(&output.stdout), output.status.code()), ("", Some(2)));
    }
}

/// Whoever reads the output may leave before it is all written.
#[test]
fn a_pipe_that_closes_early() {
    let folder = Folder::new();
    let trace = folder.file("small.trace", SMALL);
    for option in ["--no-plot", "--json", "--threads"] {
        let mut command = folder.program();
        command.arg(option).stdout(Stdio::piped()).stderr(Stdio::piped());
        for _ in 0..50 {
            command.arg("--trace").arg(&trace);
        }
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((stderr.as_str(), child.wait().unwrap().code()), ("", Some(0)));
    }
}
