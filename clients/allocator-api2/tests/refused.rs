//! What a program prints that asks for more than a fragment without `try_`: each case in a process of its own.

use std::{
    env,
    process::{Command, Output},
};

use allocator_api2_04::{boxed::Box, vec::Vec};
use hashbrown::HashMap;
use ptfrag_client_allocator_api2::InFragments;

use self::parts::{Small, small};

#[path = "any/parts.rs"]
mod parts;

const CASE: &str = "PTFRAG_REFUSED";

type Case = (&'static str, fn() -> usize, fn(InFragments<&Small>));

/// What is done, and the bytes that are asked for when it fails.
const CASES: [Case; 5] = [
    ("a box", || 264, |alloc| drop(Box::new_in([0_u64; 33], alloc))),
    (
        "an aligned box",
        || 512,
        |alloc| {
            #[repr(align(512))]
            struct Over;
            #[allow(dead_code, reason = "only its layout matters")]
            struct Aligned(Over, u8);
            drop(Box::new_in(Aligned(Over, 1), alloc));
        },
    ),
    (
        "a vec",
        || 384,
        |alloc| {
            let mut vec = Vec::new_in(alloc);
            (0..9).for_each(|number: u64| vec.push([number; 3]));
        },
    ),
    (
        "a map",
        || HashMap::<u32, u32>::with_capacity(15).allocation_size(),
        |alloc| {
            let mut map = HashMap::new_in(alloc);
            map.extend((0..15_u32).map(|number| (number, number)));
        },
    ),
    (
        "an empty pool",
        || 8,
        |alloc| {
            let boxes: std::vec::Vec<_> =
                (0..17_u64).map(|number| Box::new_in(number, alloc)).collect();
            assert!(boxes.is_empty(), "not reached");
        },
    ),
];

/// The case that this process is to run, if it is a child.
#[test]
fn child() {
    let Ok(name) = env::var(CASE) else { return assert_eq!(CASES.len(), 5) };
    let (mm, _) = small(1);
    let case = CASES.iter().find(|case| case.0 == name).expect("a case");
    case.2(InFragments::new(&mm));
    println!("it was served");
}

fn run(name: &str) -> Output {
    Command::new(env::current_exe().expect("this program"))
        .args(["child", "--exact", "--nocapture"])
        .env(CASE, name)
        .output()
        .expect("it runs")
}

#[test]
fn the_process_says_how_much_was_asked_for() {
    for (name, bytes, _) in CASES {
        let Output { status, stdout, stderr } = run(name);
        let text = String::from_utf8_lossy(&stderr);
        assert!(!status.success(), "{name}");
        assert!(
            text.contains(&format!("memory allocation of {} bytes failed", bytes())),
            "{name}: {text}"
        );
        assert!(!String::from_utf8_lossy(&stdout).contains("it was served"), "{name}");
    }
}
