//! Domains whose readers make no fence, and what they are where the system does not let them.
#![cfg(not(miri))]

use std::{
    sync::{Barrier, atomic::Ordering},
    thread,
    time::Duration,
};

use ptfrag::{Mm, OwnedDomain, Region, Std};

#[path = "common/heads.rs"]
mod heads;

use heads::{count, counter, settle};

#[test]
fn says_what_it_is() {
    assert!(!OwnedDomain::new().is_asymmetric());
    if cfg!(not(target_os = "linux")) {
        assert!(!OwnedDomain::asymmetric().is_asymmetric());
    }
}

#[test]
fn a_section_holds_callbacks_up() {
    let domain = OwnedDomain::asymmetric();
    let ran = counter();
    let [entered, leave] = [(); 2].map(|()| Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = domain.read();
            entered.wait();
            leave.wait();
        });
        entered.wait();
        count(&domain, &ran);
        let early = settle(&domain);
        leave.wait();
        assert_eq!(early, 0);
    });
    domain.barrier();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

/// A thread that only reads moves the clock on for the heads of others, now and then.
#[test]
fn what_a_sleeper_queued_is_run_by_readers() {
    let domain = OwnedDomain::asymmetric();
    let ran = counter();
    let [queued, leave] = [(); 2].map(|()| Barrier::new(2));
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            drop(domain.read());
            count(&domain, &ran);
            queued.wait();
            leave.wait();
        });
        queued.wait();
        let mut rounds = 0..1000;
        let found = rounds.any(|_| {
            (0..10_000).for_each(|_| drop(domain.read()));
            thread::sleep(Duration::from_millis(1));
            ran.load(Ordering::Relaxed) == 1
        });
        leave.wait();
        found
    });
    assert!(found);
}

/// Garbage comes back at the pace of a domain with fences, in sections and through a handle.
#[test]
fn pages_come_back() {
    let domain = OwnedDomain::asymmetric();
    let mm = Mm::<16, 256, Std<4096>>::new(&domain, Region::new(1 << 14).unwrap());
    let mut most = 0;
    for in_each in [1, 20, 300] {
        let mut local = mm.local();
        for round in 0..20_000 / in_each {
            let _guard = domain.read();
            for _ in 0..in_each {
                let frag = if round % 2 == 0 { mm.alloc() } else { local.alloc() };
                frag.unwrap().retire();
            }
            most = most.max(mm.pages());
        }
    }
    assert!(most <= 2000, "{most}");
    while mm.pages() > 0 {
        domain.barrier();
    }
}

/// A filter of system calls, whose numbers it knows.
#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod filtered {
    use std::{env, process::Command, sync::atomic::Ordering};

    use ptfrag::OwnedDomain;

    use super::heads::{count, counter};

    /// Where a filter forbids the call, the domain is one like any other.
    #[test]
    fn falls_back_where_it_must_not() {
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "filtered::child", "--nocapture", "--include-ignored"])
            .env("PTFRAG_FILTERED", "1")
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    #[ignore = "run by another, in a process of its own"]
    fn child() {
        if env::var_os("PTFRAG_FILTERED").is_none() {
            return;
        }
        forbid_membarrier();
        let domain = OwnedDomain::asymmetric();
        assert!(!domain.is_asymmetric());
        let ran = counter();
        drop(domain.read());
        count(&domain, &ran);
        domain.barrier();
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }

    /// Has `membarrier` fail in this thread from now on.
    fn forbid_membarrier() {
        let step =
            |code: u32, k: u32, jf: u8| libc::sock_filter { code: code as u16, jt: 0, jf, k };
        // Loads the number of the call; if it is that one, it fails with EPERM, and otherwise it is allowed.
        let mut filter = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_membarrier as u32, 1),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: it takes four numbers more.
        let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(privileges, 0);
        // SAFETY: the program is valid, and copied.
        let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        assert_eq!(set, 0);
    }
}
