//! Programs in C and in C++ on the library: see `programs`.

#![cfg(target_os = "linux")]

mod programs;

use std::fs;

use programs::{C11, CPP17, build, build_shared, dir, library_dir, pkg_config};

/// Builds a program as C and as C++, and runs it with each set of arguments; `valgrind` has its own, for threads are slow there.
fn run_both(name: &str, arguments: &[&[&str]], valgrind: Option<&[&str]>) {
    for language in [C11, CPP17] {
        let Some(program) = build(name, language, &[]) else { continue };
        for arguments in arguments {
            program.goes_well(arguments);
        }
        if let Some(arguments) = valgrind {
            program.goes_well_under_valgrind(arguments);
        }
    }
}

#[test]
fn readers_and_collapsers() {
    run_both("walk", &[&[]], Some(&["300"]));
}

#[test]
fn all_geometries() {
    run_both("shapes", &[&[]], Some(&[]));
}

#[test]
fn parts_of_the_programs_own() {
    run_both("parts", &[&[]], Some(&[]));
}

#[test]
fn in_signal_handlers() {
    let stepping = cfg!(target_arch = "x86_64");
    let runs: &[&[&str]] = if stepping { &[&["step"], &["kill"]] } else { &[&["kill"]] };
    run_both("signals", runs, Some(&["kill"]));
}

#[test]
fn ends_of_threads_and_programs() {
    run_both("ends", &[&[], &["busy"]], Some(&[]));
}

#[test]
fn over_liburcu() {
    let Some(flags) = pkg_config("liburcu-memb") else { return };
    for language in [C11, CPP17] {
        let Some(program) = build("urcu", language, &flags) else { continue };
        program.goes_well(&[]);
        program.goes_well_under_valgrind(&["300"]);
    }
}

/// What a caller does wrong ends the process, and says what it is.
#[test]
fn misuse() {
    let texts = [
        ("double_free", "ptfrag: double free: fragment"),
        ("foreign_pointer", "ptfrag: foreign pointer:"),
        ("bad_pointer", "lies 8 bytes inside a fragment of 256"),
        ("wrong_mm", "ptfrag: wrong mm: fragment"),
        ("null_pointer", "ptfrag: NULL is no fragment"),
        ("origin_double_free", "ptfrag: double free: fragment"),
        ("local_wrong_mm", "ptfrag: wrong mm: fragment"),
        ("keeping_late", "is set before it is used"),
        ("three_lanes", "a power of two"),
        ("write_after_free", "ptfrag: list corruption:"),
        ("barrier_in_section", "ptfrag: barrier called inside a read-side section"),
        ("synchronize_in_section", "ptfrag: synchronize called inside a read-side section"),
        ("barrier_in_callback", "ptfrag: barrier called inside a callback"),
        ("no_head", "ptfrag: NULL is no head"),
        ("wrong_desc", "ptfrag: desc_of does not lead"),
        ("half_a_page", "ptfrag: desc_of does not lead"),
        ("wrong_page", "ptfrag: page_of does not lead"),
        ("page_not_aligned", "ptfrag: page_get gave a page that is not aligned to its size"),
        ("desc_not_aligned", "ptfrag: page_get gave a descriptor that is not aligned"),
        ("desc_missing", "ptfrag: page_get gave no descriptor"),
    ];
    for language in [C11, CPP17] {
        let Some(program) = build("misuse", language, &[]) else { continue };
        for (scene, text) in texts {
            program.aborts(scene, text);
        }
    }
}

/// So does a function of a table that is left in another way than by returning.
#[test]
fn exceptions_end_the_process() {
    let Some(program) = build("throws", CPP17, &[]) else { return };
    for scene in ["get", "exit", "reclaim", "call"] {
        program.aborts(scene, "ptfrag: a function of the parts was left");
    }
}

/// The library as a shared one.
#[test]
fn shared() {
    let library = library_dir().join("libptfrag_c.so");
    for language in [C11, CPP17] {
        if let Some(program) = build_shared("shapes", language) {
            program.goes_well(&[]);
        }
        if let Some(program) = build("unload", language, &[]) {
            program.goes_well(&[library.to_str().expect("its path is text")]);
        }
    }
}

/// Each function of the header, and each entry of the table, is one that some program uses.
#[test]
fn everything_is_used() {
    let header = fs::read_to_string(dir().join("include/ptfrag.h")).expect("there is a header");
    let programs: String = fs::read_dir(dir().join("tests/programs"))
        .expect("there are programs")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension() != Some("rs".as_ref()))
        .map(|path| fs::read_to_string(path).expect("it can be read"))
        .collect();
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    let uses: Vec<_> = code.flat_map(uses).collect();
    for known in ["ptfrag_alloc(", "parts->page_get ="] {
        assert!(uses.iter().any(|there| there == known), "{known} is not found in the header");
    }
    for there in uses {
        assert!(programs.contains(&there), "no program has: {there}");
    }
}

/// How a program uses what a line of the header declares: a function is called, an entry of the table set.
fn uses(line: &str) -> Vec<String> {
    let (pieces, _) = line.rsplit_once('(').unwrap_or_default();
    let name = |piece: &str| match piece.strip_prefix('*') {
        Some(entry) => entry.strip_suffix(')').map(|name| format!("parts->{name} =")),
        None => {
            let last = piece.rsplit([' ', '*']).next();
            last.filter(|name| name.starts_with("ptfrag_")).map(|name| format!("{name}("))
        }
    };
    let is_type = |there: &String| there.contains("ptfrag_rcu_func");
    pieces.split('(').filter_map(name).filter(|there| !is_type(there)).collect()
}
