//! Building and running programs in C.

use std::{
    env,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A compiler, and the flags that make it take a program as its language.
#[derive(Clone, Copy)]
pub(crate) struct Language {
    compiler: &'static str,
    flags: &'static [&'static str],
    suffix: &'static str,
}

pub(crate) const C11: Language =
    Language { compiler: "cc", flags: &["-std=c11", "-x", "c"], suffix: "c11" };
pub(crate) const CPP17: Language =
    Language { compiler: "c++", flags: &["-std=c++17", "-x", "c++"], suffix: "cpp17" };

/// Says what is not tested where everybody sees it, and not only when a test fails.
pub(crate) fn say(text: &str) {
    // There is nobody to tell that nobody can be told.
    let _ = writeln!(std::io::stderr(), "ptfrag-c: {text}");
}

fn is_there(command: &str) -> bool {
    let there = Command::new(command).arg("--version").output().is_ok();
    if !there {
        say(&format!("{command} is not installed: what needs it is not tested"));
    }
    there
}

/// The package.
pub(crate) fn dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory in which cargo has put the library, beside this program.
pub(crate) fn library_dir() -> PathBuf {
    let program = env::current_exe().expect("this program has a path");
    program.parent().expect("and lies in a directory").to_owned()
}

/// What it takes to build with a library of the system's; if it is not there it says so.
pub(crate) fn pkg_config(library: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", library]).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).expect("flags are text");
            Some(text.split_whitespace().map(str::to_owned).collect())
        }
        _ => {
            say(&format!("pkg-config does not find {library}: it is not tested"));
            None
        }
    }
}

/// A program that was built.
pub(crate) struct Built(PathBuf);

/// Builds a program with the static library; without a compiler it says so.
pub(crate) fn build(name: &str, language: Language, more: &[String]) -> Option<Built> {
    let library = library_dir().join("libptfrag_c.a").into_os_string();
    compile(name, language, "", |command| command.arg(library).args(more).args(["-ldl", "-lm"]))
}

/// The same with the shared library.
pub(crate) fn build_shared(name: &str, language: Language) -> Option<Built> {
    let library = library_dir().join("libptfrag_c.so").into_os_string();
    compile(name, language, "-shared", |command| command.arg(library))
}

fn compile(
    name: &str,
    language: Language,
    kind: &str,
    link: impl FnOnce(&mut Command) -> &mut Command,
) -> Option<Built> {
    if !is_there(language.compiler) {
        return None;
    }
    let programs = dir().join("tests/programs");
    let source = [format!("{name}.c"), format!("{name}.cpp")].map(|name| programs.join(name));
    let source = source.iter().find(|source| source.exists()).expect("there is such a program");
    let program = library_dir().join(format!("{name}-{}{kind}", language.suffix));
    let mut command = Command::new(language.compiler);
    command.args(language.flags).args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    command.arg("-I").arg(dir().join("include")).arg(source).args(["-x", "none"]);
    let status = link(&mut command).arg("-o").arg(&program).status();
    assert!(status.is_ok_and(|status| status.success()), "{name} does not compile");
    Some(Built(program))
}

impl Built {
    /// Runs it: it comes to its end, where all is home.
    pub(crate) fn goes_well(&self, arguments: &[&str]) {
        self.check(Command::new(&self.0).args(arguments));
    }

    /// The same under valgrind, if that is there.
    pub(crate) fn goes_well_under_valgrind(&self, arguments: &[&str]) {
        if !is_there("valgrind") {
            return;
        }
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["-q", "--error-exitcode=9", "--fair-sched=yes", "--leak-check=full"]);
        valgrind.arg("--errors-for-leak-kinds=definite");
        self.check(valgrind.arg(&self.0).args(arguments));
    }

    /// Runs it: it ends with this text and no other way.
    pub(crate) fn aborts(&self, scene: &str, text: &str) {
        let Output { status, stdout, stderr } = output(Command::new(&self.0).arg(scene));
        const SIGABRT: i32 = 6;
        let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(status.signal(), Some(SIGABRT), "{scene}: {status}, {out}{err}");
        assert!(err.contains(text), "{scene}: {err}");
        assert_eq!(out, "", "{scene}");
    }

    fn check(&self, command: &mut Command) {
        let Output { status, stdout, stderr } = output(command);
        let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(status.success(), "{command:?}: {status}, {err}");
        assert_eq!(out, "all is home\n", "{command:?}");
    }
}

/// The program finds the shared library beside itself.
fn output(command: &mut Command) -> Output {
    command.env("LD_LIBRARY_PATH", library_dir()).output().expect("it can be run")
}
