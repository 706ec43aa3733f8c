//! Sections in a signal handler that interrupts its thread before each instruction: in a section, on the way into one
//! or out of it, in a retirement, a poll, a callback, and while the thread comes to another domain.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(miri)))]

use std::{
    arch::asm,
    mem,
    ptr::{self, NonNull},
    sync::{
        Barrier, LazyLock,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
    thread,
};

use ptfrag::{Domain, Mm, OwnedDomain, Rcu, RcuHead, Region, Slot, Std};

/// Something that is spoilt after a grace period.
#[repr(C)]
struct Value {
    head: RcuHead,
    spoilt: AtomicBool,
}

impl Value {
    fn new() -> Self {
        Self { head: RcuHead::new(), spoilt: AtomicBool::new(false) }
    }

    fn leaked() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }

    fn queue(&'static self, domain: &Domain) {
        // SAFETY: values are never freed, and each is queued once.
        unsafe { domain.call(NonNull::from(self).cast(), spoil) };
    }
}

unsafe extern "C" fn spoil(head: NonNull<RcuHead>) {
    // SAFETY: values are never freed.
    let value = unsafe { head.cast::<Value>().as_ref() };
    value.spoilt.store(true, Ordering::Relaxed);
}

/// What is asked of the other thread, one after the other, and whether it is from inside a section.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static INSIDE: AtomicBool = AtomicBool::new(false);
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
/// Callbacks that have run although a section was open.
static EARLY: AtomicUsize = AtomicUsize::new(0);
static STEPS: AtomicUsize = AtomicUsize::new(0);
static SLOT: AtomicPtr<Slot<16, 256, Std<'static>>> = AtomicPtr::new(ptr::null_mut());
static DOMAIN: LazyLock<OwnedDomain> = LazyLock::new(OwnedDomain::new);

/// Has the other thread do its part, and waits for it.
fn ask() {
    let number = ASKED.load(Ordering::Relaxed) + 1;
    ASKED.store(number, Ordering::Release);
    while ANSWERED.load(Ordering::Acquire) < number {
        thread::yield_now();
    }
}

/// The other thread's part. It moves the epoch on as far as it goes, and parks
/// whoever is not in a section; or, while one is open, it queues something that must not be run.
///
/// It takes no lock that the interrupted thread may hold, not even the allocator's.
fn answer(done: &AtomicBool) {
    let mut values = Vec::leak((0..200_000).map(|_| Value::new()).collect()).iter();
    let mut queue = || {
        let value = values.next().expect("there are more than steps");
        value.queue(&DOMAIN);
        value
    };
    for number in 1.. {
        while ASKED.load(Ordering::Acquire) < number {
            if done.load(Ordering::Relaxed) {
                return;
            }
            thread::yield_now();
        }
        let in_section = INSIDE.load(Ordering::Relaxed);
        let value = queue();
        for _ in 0..if in_section { 5 } else { 20 } {
            DOMAIN.poll();
            if !in_section {
                // So that there is something to do.
                queue();
            }
        }
        let early = in_section && value.spoilt.load(Ordering::Relaxed);
        EARLY.fetch_add(usize::from(early), Ordering::Relaxed);
        ANSWERED.store(number, Ordering::Release);
    }
}

/// The instruction before which the handler does its work, or [`EACH`].
static AT: AtomicUsize = AtomicUsize::new(EACH);
const EACH: usize = usize::MAX;

extern "C" fn on_step(_: i32) {
    let step = STEPS.fetch_add(1, Ordering::Relaxed);
    let at = AT.load(Ordering::Relaxed);
    if at != EACH && at != step {
        return;
    }
    ask();
    let outer = Rcu::read(&**DOMAIN);
    let inner = Rcu::read(&**DOMAIN);
    // SAFETY: set before the first step, and never freed.
    unsafe { &*SLOT.load(Ordering::Acquire) }.clear();
    drop(inner);
    INSIDE.store(true, Ordering::Relaxed);
    ask();
    INSIDE.store(false, Ordering::Relaxed);
    drop(outer);
}

/// The flag of the processor that traps after each instruction.
const TRAP: u64 = 1 << 8;

fn step(work: impl FnOnce()) {
    // SAFETY: there is a handler for the trap.
    unsafe { asm!("pushfq", "or qword ptr [rsp], {}", "popfq", const TRAP) };
    work();
    // SAFETY: as it was before.
    unsafe { asm!("pushfq", "and qword ptr [rsp], {}", "popfq", const !(TRAP as i32)) };
}

#[test]
fn before_each_instruction() {
    let domain: &'static Domain = &DOMAIN;
    let pool: &'static Mm<16, 256, Std<'static>> =
        Box::leak(Box::new(Mm::new(domain, Region::new(1 << 10).unwrap())));
    let slot: &'static Slot<16, 256, Std<'static>> = Box::leak(Box::new(pool.slot()));
    SLOT.store(ptr::from_ref(slot).cast_mut(), Ordering::Release);
    // SAFETY: all zeros are a valid action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_step as extern "C" fn(i32) as usize;
    // SAFETY: the handler does what handlers may.
    assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()) }, 0);

    let done = AtomicBool::new(false);
    let [known, end] = [(); 2].map(|()| Barrier::new(41));
    thread::scope(|scope| {
        // The handler's sections are not the thread's first.
        drop(domain.read());
        // So many records are parked together with this thread's.
        for _ in 0..40 {
            scope.spawn(|| {
                drop(domain.read());
                known.wait();
                end.wait();
            });
        }
        known.wait();
        let other = scope.spawn(|| answer(&done));
        let others: Vec<_> = (0..2).map(|_| OwnedDomain::new()).collect();
        // While one is in use the page stays, and no callback comes to the source's lock.
        let [frag, kept] = [(); 2].map(|()| pool.alloc().unwrap());
        step(|| {
            let guard = domain.read();
            slot.publish(frag);
            let nested = domain.read();
            drop((guard, nested));
            // Comes to two domains, and back.
            drop(others[0].read());
            drop(others[1].read());
            drop(domain.read());
            slot.clear();
            domain.poll();
        });
        assert!(STEPS.load(Ordering::Relaxed) > 500);
        // A handler that comes before each of them undoes what the one before has met with. So once more, one at a
        // time, for a thread that comes back to a record which is parked: into a section, or to queue something.
        for queues in [false, true] {
            for at in 0.. {
                let value = Value::leaked();
                ask();
                AT.store(at, Ordering::Relaxed);
                STEPS.store(0, Ordering::Relaxed);
                step(|| if queues { value.queue(domain) } else { drop(Rcu::read(domain)) });
                // Whatever came in between, others find what is queued.
                (0..2).for_each(|_| ask());
                assert_eq!(value.spoilt.load(Ordering::Relaxed), queues, "lost at {at}");
                if STEPS.load(Ordering::Relaxed) <= at {
                    break;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        other.join().unwrap();
        end.wait();
        kept.retire();
    });
    assert_eq!(EARLY.load(Ordering::Relaxed), 0, "callbacks ran in a section");
    slot.clear();
    (0..4).for_each(|_| domain.barrier());
    assert_eq!(pool.pages(), 0);
}
