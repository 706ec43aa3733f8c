//! `Vec`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ptfrag_client_allocator_api2::{Handle, InFragments};

use super::parts::{Bomb, Counted, Counter, Small, mm, small};
use crate::api::{boxed::Box, vec::Vec};

const SIZE: usize = InFragments::<Small>::SIZE;

#[test]
fn pushes_double_and_exact_reservations_fill_the_fragment() {
    let (mm, source) = small(1);
    let mut vec = Vec::new_in(InFragments::new(&mm));
    let mut places = std::vec::Vec::new();
    for number in 0_u64.. {
        if vec.try_reserve(1).is_err() {
            break;
        }
        vec.push([number; 3]);
        places.push(vec.as_ptr());
    }
    assert_eq!((vec.len(), vec.capacity()), (8, 8), "16 of 24 bytes do not fit 256");
    assert!(vec.try_reserve_exact(3).is_err());
    assert!(vec.try_reserve_exact(2).is_ok());
    vec.extend([[8; 3], [9; 3]]);
    places.push(vec.as_ptr());
    assert!(vec.iter().eq(&(0..10).map(|number| [number; 3]).collect::<std::vec::Vec<_>>()));
    assert!(places.iter().all(|place| *place == places[0]), "in place");
    assert_eq!(vec.capacity(), SIZE / size_of::<[u64; 3]>());

    let mut whole = Vec::with_capacity_in(SIZE / 24, vec.allocator());
    whole.extend(vec.iter().copied());
    assert_eq!(whole.capacity(), 10, "as asked for");
    drop(whole);
    vec.truncate(1);
    vec.shrink_to_fit();
    assert_eq!((vec.capacity(), vec.as_ptr()), (1, places[0]));
    vec.clear();
    vec.shrink_to_fit();
    assert_eq!((vec.capacity(), source.pages_out()), (0, 0), "an empty one keeps nothing");
}

#[test]
fn a_pool_that_is_full() {
    let (mm, source) = small(1);
    let alloc = InFragments::new(&mm);
    let mut rows = Vec::new_in(alloc);
    for row in 0_u32..15 {
        let mut numbers = Vec::new_in(alloc);
        numbers.extend(row * 10..row * 10 + 10);
        if rows.try_reserve_exact(1).is_err() {
            break;
        }
        rows.push(numbers);
    }
    assert_eq!(rows.len(), SIZE / size_of_val(&rows[0]));
    let mut others: std::vec::Vec<_> = (rows.len()..15).map(|_| Box::new_in(0, alloc)).collect();
    let mut refused = Vec::<u8, _>::new_in(alloc);
    assert!(refused.try_reserve(1).is_err());
    assert!(rows[0].try_reserve(1).is_ok(), "in place");
    drop(others.pop());
    assert!(refused.try_reserve(1).is_ok());
    assert!(rows.iter().flatten().copied().eq(0..10 * rows.len() as u32));
    drop((rows, others, refused));
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn elements_are_dropped_once() {
    let (mm, source) = mm::<2, 2048>(8);
    let handle = Handle::new(&mm);
    let counter = Counter::default();
    let mut vec = Vec::new_in(InFragments::new(&handle));
    vec.resize_with(30, || counter.value(7));
    vec.insert(3, counter.value(8));
    assert_eq!(vec.remove(3).number, 8);
    let clone = vec.clone();
    vec.truncate(25);
    drop(vec.drain(5..10));
    let mut keep = 0..;
    vec.retain(|_| keep.next().is_some_and(|number| number % 3 != 0));
    let tail = vec.split_off(10);
    assert_eq!((vec.len(), tail.len(), clone.len()), (10, 3, 30));
    assert_eq!(counter.alive(), 43);
    let mut rest = tail.into_iter();
    assert!(rest.next().is_some() && rest.next_back().is_some());
    drop(rest);
    assert_eq!(counter.alive(), 40);
    drop(clone.into_boxed_slice());
    vec.dedup_by_key(|value| value.number);
    assert_eq!(counter.alive(), 1);
    drop(vec);
    assert_eq!(counter.alive(), 0);
    drop(handle);
    assert_eq!(source.pages_out(), 0);
}

#[test]
fn panics() {
    let (mm, source) = mm::<2, 2048>(8);
    let (alloc, counter) = (InFragments::new(&mm), Counter::default());
    let five = |bomb: Bomb| {
        let mut vec: Vec<Counted, _> = Vec::new_in(alloc);
        vec.extend((0..5).map(|at| counter.with(at, if at == 3 { bomb } else { Bomb::None })));
        vec
    };
    let home = || assert_eq!((counter.alive(), source.pages_out()), (0, 0));

    let vec = five(Bomb::InClone);
    assert!(catch_unwind(AssertUnwindSafe(|| vec.clone())).is_err());
    assert_eq!(counter.alive(), 5);
    drop(vec);
    home();

    let vec = five(Bomb::InDrop);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(vec))).is_err());
    home();

    let rest = five(Bomb::InDrop).into_iter();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rest))).is_err());
    home();

    let mut vec = five(Bomb::None);
    let fill = AssertUnwindSafe(|| {
        let mut left = 9;
        vec.resize_with(20, || {
            left -= 1;
            assert!(left != 0, "a constructor that fails");
            counter.value(left)
        });
    });
    assert!(catch_unwind(fill).is_err());
    assert_eq!(counter.alive(), vec.len() as isize);
    drop(vec);
    home();
}

/// Whoever has had a reference to a part of the block may keep the right to that part alone.
#[test]
fn a_slice_that_was_leaked_can_grow_again() {
    let (mm, source) = small(1);
    let alloc = InFragments::new(&mm);
    let mut vec = Vec::new_in(alloc);
    vec.extend([1_u16, 2, 3]);
    let three: &mut [u16] = Box::leak(vec.into_boxed_slice());
    let (start, len) = (three.as_mut_ptr(), three.len());
    // SAFETY: the block that was leaked, of this allocator.
    let mut vec = unsafe { Vec::from_raw_parts_in(start, len, len, alloc) };
    vec.extend(4..=100);
    assert!(vec.iter().copied().eq(1..=100));
    drop(vec);
    assert_eq!(source.pages_out(), 0);
}
