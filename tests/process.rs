//! How a process ends with a domain in use, and what runs where nobody expects it: in functions registered with
//! `atexit`, in destructors of thread-locals, in threads of C.
#![cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]

use std::{
    cell::RefCell,
    env,
    ffi::c_void,
    mem,
    process::{Command, exit},
    ptr,
    sync::LazyLock,
    thread,
    time::Duration,
};

use ptfrag::{Domain, Mm, Region, Std};

type Pool = Mm<16, 256, Std<'static>>;

static POOL: LazyLock<Pool> =
    LazyLock::new(|| Mm::new(Domain::global(), Region::new(1 << 14).unwrap()));

/// What a user of the pool does.
fn work(rounds: usize) {
    for _ in 0..rounds {
        let _guard = Domain::global().read();
        POOL.alloc().unwrap().retire();
    }
}

/// Plays one of the endings below in a process of its own.
fn ends_well(ending: &str) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--include-ignored"])
        .env("PTFRAG_ENDING", ending)
        .spawn()
        .unwrap();
    // It takes milliseconds; this only tells hanging from that.
    for _ in 0..6000 {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(7), "{ending}");
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("{ending}: the process hangs");
}

#[test]
#[ignore = "run by the others, as a process that ends"]
fn child() {
    match env::var("PTFRAG_ENDING").as_deref() {
        Ok("exit") => end_beside_threads(),
        Ok("atexit") => end_with_a_function(),
        Ok("main") => end_of_a_thread_of_c(),
        _ => {}
    }
}

/// Other threads are in sections, some of them for ever, and heads are queued.
fn end_beside_threads() {
    for stays in [true, false, false] {
        thread::spawn(move || {
            let _guard = stays.then(|| Domain::global().read());
            loop {
                work(100);
            }
        });
    }
    work(1000);
    exit(7);
}

#[test]
fn exit_beside_threads() {
    ends_well("exit");
}

/// The function that is called at the end uses the domain, and waits for it.
fn end_with_a_function() {
    extern "C" fn at_exit() {
        work(1000);
        Domain::global().synchronize();
        Domain::global().barrier();
    }
    work(100);
    // SAFETY: the function is there until the process ends.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    thread::spawn(|| {
        loop {
            work(100)
        }
    });
    exit(7);
}

#[test]
fn a_function_at_exit() {
    ends_well("atexit");
}

/// A thread that C code made works and ends.
fn end_of_a_thread_of_c() {
    extern "C" fn start(_: *mut c_void) -> *mut c_void {
        work(1000);
        ptr::null_mut()
    }
    for _ in 0..100 {
        let mut thread = mem::MaybeUninit::uninit();
        // SAFETY: the arguments are what it wants, and `start` uses nothing of this frame.
        let made = unsafe {
            libc::pthread_create(thread.as_mut_ptr(), ptr::null(), start, ptr::null_mut())
        };
        assert_eq!(made, 0);
        // SAFETY: it was made.
        let thread = unsafe { thread.assume_init() };
        // SAFETY: nobody else joins it.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    }
    (0..4).for_each(|_| Domain::global().barrier());
    exit(if POOL.pages() == 0 { 7 } else { 1 });
}

#[test]
fn threads_of_c() {
    ends_well("main");
}

/// Works when its thread-local is destroyed.
struct AtEnd(RefCell<bool>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if *self.0.borrow() {
            work(1);
            let mut local = POOL.local();
            let frag = local.alloc().unwrap();
            local.retire(frag);
        }
    }
}

thread_local! {
    static BEFORE: AtEnd = const { AtEnd(RefCell::new(false)) };
    static AFTER: AtEnd = const { AtEnd(RefCell::new(false)) };
}

/// Destructors that run before and after the domain's own leave no page behind.
#[test]
fn destructors_of_thread_locals_leave_nothing() {
    for _ in 0..1000 {
        let user = || {
            AFTER.with(|at_end| at_end.0.replace(true));
            work(1);
            BEFORE.with(|at_end| at_end.0.replace(true));
        };
        thread::spawn(user).join().unwrap();
        assert!(POOL.pages() < 500, "{} pages", POOL.pages());
    }
    (0..6).for_each(|_| Domain::global().barrier());
    assert_eq!(POOL.pages(), 0);
}
