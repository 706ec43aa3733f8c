//! Random histories beside a model: of blocks beside plain bytes, and of a `Vec` beside the standard library's.

use proptest::prelude::*;
use ptfrag_client_allocator_api2::{Handle, InFragments};

use super::{
    block::{Block, layout},
    contract::on_each,
    parts::{Small, small},
};
use crate::api::{alloc::Allocator, vec::Vec};

const SIZE: usize = InFragments::<Small>::SIZE;
const PAGES: usize = 2;

/// The least capacity that is not zero, and what it doubles from.
const LEAST: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, align: usize, zeroed: bool },
    Resize { which: usize, size: usize, align: usize, zeroed: bool },
    Free { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..=SIZE + 20, 0..=40_usize];
    let align = || (0..=9_u32).prop_map(|shift| 1_usize << shift);
    prop_oneof![
        3 => (size(), align(), any::<bool>())
            .prop_map(|(size, align, zeroed)| Step::Allocate { size, align, zeroed }),
        4 => (any::<usize>(), size(), align(), any::<bool>())
            .prop_map(|(which, size, align, zeroed)| Step::Resize { which, size, align, zeroed }),
        2 => any::<usize>().prop_map(|which| Step::Free { which }),
    ]
}

fn fits(size: usize, align: usize) -> bool {
    size <= SIZE && align <= SIZE
}

/// A block, and what is expected in it.
struct Kept<'a>(Block<'a>, std::vec::Vec<u8>);

impl Kept<'_> {
    /// Writes other bytes from `from` on.
    fn write(&mut self, from: usize, with: u8) {
        self.0.bytes()[from..self.1.len()].fill(with);
        self.1[from..].fill(with);
    }
}

/// How many fragments are in use.
fn used(kept: &[Kept<'_>]) -> usize {
    kept.iter().filter(|kept| !kept.1.is_empty()).count()
}

fn take_step<'a>(
    alloc: &'a dyn Allocator,
    kept: &mut std::vec::Vec<Kept<'a>>,
    step: &Step,
    with: u8,
) {
    let room = used(kept) < 16 * PAGES;
    match *step {
        Step::Allocate { size, align, zeroed } => {
            let make = if zeroed { Block::zeroed } else { Block::new };
            let block = make(alloc, layout(size, align));
            assert_eq!(block.is_some(), size == 0 || fits(size, align) && room);
            kept.extend(block.map(|mut block| {
                assert!(!zeroed || block.bytes().iter().all(|byte| *byte == 0));
                let mut kept = Kept(block, vec![0; size]);
                kept.write(0, with);
                kept
            }));
        }
        Step::Resize { which, size, align, zeroed } if !kept.is_empty() => {
            let which = which % kept.len();
            let Kept(block, expected) = &mut kept[which];
            let old = expected.len();
            let zeroed = zeroed && size >= old;
            // A zeroed one is the trait's own, which takes another fragment.
            let possible = if size == 0 {
                true
            } else if old == 0 || zeroed {
                fits(size, align) && room
            } else {
                fits(size, align)
            };
            let to = layout(size, align);
            let done = if zeroed { block.grow_zeroed(to) } else { block.resize(to) };
            assert_eq!(done, possible, "{old} to {size} bytes aligned to {align}");
            if done {
                expected.resize(size, 0);
                assert!(!zeroed || block.bytes()[old..].iter().all(|byte| *byte == 0));
                kept[which].write(old.min(size), with);
            }
        }
        Step::Free { which } if !kept.is_empty() => {
            let which = which % kept.len();
            kept.swap_remove(which);
        }
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Push(u16),
    Pop,
    Insert(usize, u16),
    Remove(usize),
    SwapRemove(usize),
    Truncate(usize),
    Extend(std::vec::Vec<u16>),
    ReserveExact(usize),
    ShrinkToFit,
    Clone,
    SplitOff(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => any::<u16>().prop_map(Edit::Push),
        2 => Just(Edit::Pop),
        3 => (any::<usize>(), any::<u16>()).prop_map(|(at, value)| Edit::Insert(at, value)),
        1 => any::<usize>().prop_map(Edit::Remove),
        1 => any::<usize>().prop_map(Edit::SwapRemove),
        1 => (0..=140_usize).prop_map(Edit::Truncate),
        2 => prop::collection::vec(any::<u16>(), 0..40).prop_map(Edit::Extend),
        2 => (0..=140_usize).prop_map(Edit::ReserveExact),
        1 => Just(Edit::ShrinkToFit),
        1 => Just(Edit::Clone),
        1 => any::<usize>().prop_map(Edit::SplitOff),
    ]
}

/// Makes room as `Vec` itself would, and says whether there was any.
fn reserve<A: Allocator>(vec: &mut Vec<u16, A>, more: usize) -> bool {
    let needed = vec.len() + more;
    let enough = needed <= vec.capacity();
    let asked = needed.max(2 * vec.capacity()).max(LEAST);
    let possible = enough || asked * size_of::<u16>() <= SIZE;
    assert_eq!(vec.try_reserve(more).is_ok(), possible, "{more} beyond {}", vec.len());
    possible
}

fn make_edit<A: Allocator + Clone>(
    vec: &mut Vec<u16, A>,
    model: &mut std::vec::Vec<u16>,
    edit: Edit,
) {
    match edit {
        Edit::Push(value) => {
            if reserve(vec, 1) {
                vec.push(value);
                model.push(value);
            }
        }
        Edit::Pop => assert_eq!(vec.pop(), model.pop()),
        Edit::Insert(at, value) => {
            if reserve(vec, 1) {
                let at = at % (model.len() + 1);
                vec.insert(at, value);
                model.insert(at, value);
            }
        }
        Edit::Remove(at) if !model.is_empty() => {
            let at = at % model.len();
            assert_eq!(vec.remove(at), model.remove(at));
        }
        Edit::SwapRemove(at) if !model.is_empty() => {
            let at = at % model.len();
            assert_eq!(vec.swap_remove(at), model.swap_remove(at));
        }
        Edit::Remove(_) | Edit::SwapRemove(_) => {}
        Edit::Truncate(len) => {
            vec.truncate(len);
            model.truncate(len);
        }
        Edit::Extend(values) => {
            if reserve(vec, values.len()) {
                vec.extend_from_slice(&values);
                model.extend_from_slice(&values);
            }
        }
        Edit::ReserveExact(more) => {
            let needed = vec.len() + more;
            let possible = needed <= vec.capacity() || needed * size_of::<u16>() <= SIZE;
            assert_eq!(vec.try_reserve_exact(more).is_ok(), possible);
        }
        Edit::ShrinkToFit => {
            vec.shrink_to_fit();
            assert_eq!(vec.capacity(), model.len());
        }
        Edit::Clone => *vec = vec.clone(),
        Edit::SplitOff(at) => {
            let at = at % (model.len() + 1);
            let tail = vec.split_off(at);
            assert_eq!(tail[..], model.split_off(at)[..]);
        }
    }
}

fn edits<A: Allocator + Clone>(alloc: A, edits: &[Edit]) {
    let (mut vec, mut model) = (Vec::new_in(alloc), std::vec::Vec::new());
    for edit in edits {
        make_edit(&mut vec, &mut model, edit.clone());
        assert_eq!(vec[..], model[..]);
    }
}

proptest! {
    #[test]
    fn blocks(steps in prop::collection::vec(step(), 0..150)) {
        on_each(PAGES, |alloc| {
            let mut kept = vec![];
            for (number, step) in steps.iter().enumerate() {
                take_step(alloc, &mut kept, step, number as u8);
                for Kept(block, expected) in &mut kept {
                    assert_eq!(block.bytes()[..expected.len()], expected[..]);
                }
            }
        });
    }

    #[test]
    fn a_vec(history in prop::collection::vec(edit(), 0..100)) {
        // Its own fragment, that of a clone or of what is split off.
        let (mm, source) = small(1);
        edits(InFragments::new(&mm), &history);
        prop_assert_eq!(source.pages_out(), 0);
        let handle = Handle::new(&mm);
        edits(InFragments::new(&handle), &history);
        drop(handle);
        prop_assert_eq!(source.pages_out(), 0);
    }
}
