//! A program in C, and in C++, on the library.

#![cfg(target_os = "linux")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The directory in which cargo has put the library, beside this program.
fn library_dir() -> PathBuf {
    let program = env::current_exe().expect("this program has a path");
    program.parent().expect("and lies in a directory").to_owned()
}

/// Compiles the walk, and runs it; without a compiler it says so.
fn walk(compiler: &str, args: &[&str], name: &str) {
    if Command::new(compiler).arg("--version").output().is_err() {
        eprintln!("{compiler} is not installed: not run");
        return;
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = library_dir().join(name);
    let status = Command::new(compiler)
        .args(args)
        .args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .arg(dir.join("include"))
        .arg(dir.join("tests/walk.c"))
        .args(["-x", "none"])
        .arg(library_dir().join("libptfrag_c.a"))
        .args(["-ldl", "-lm", "-o"])
        .arg(&program)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "it does not compile");
    run(Command::new(&program));
    if name == "walk-c" && Command::new("valgrind").arg("--version").output().is_ok() {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["-q", "--error-exitcode=9", "--fair-sched=yes", "--leak-check=full"]);
        // It runs one thread at a time, and each of them slowly.
        valgrind.arg("--errors-for-leak-kinds=definite").arg(&program).arg("300");
        run(valgrind);
    }
}

fn run(mut command: Command) {
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "all is home\n");
}

#[test]
fn as_c11() {
    walk("cc", &["-std=c11"], "walk-c");
}

#[test]
fn as_cpp17() {
    walk("c++", &["-std=c++17", "-x", "c++"], "walk-cpp");
}
