//! Every legal word of small pages, every transition with every argument, against a reference that
//! knows sets and no bits.

use std::{format, vec::Vec};

use super::{ListOp, Lists, Lookers, Step, Word};
use crate::page::mask::Mask;

mod random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Used,
    Free,
    Pending,
    Next,
}
use State::{Free, Next, Pending, Used};

/// A page as a person draws it: a state for each fragment, and where the page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page<const N: usize> {
    frags: [State; N],
    host: Option<usize>,
    shown: bool,
    hooked: bool,
}

impl<const N: usize> Page<N> {
    fn of(word: Word<N>) -> Self {
        let mut frags = [None; N];
        for (mask, state) in [
            (word.used(), Used),
            (word.free(), Free),
            (word.pending(), Pending),
            (word.next(), Next),
        ] {
            for index in mask.iter() {
                assert_eq!(frags[index].replace(state), None, "two states at once");
            }
        }
        let frags = frags.map(|state| state.expect("a state each"));
        Self { frags, host: word.host(), shown: word.is_shown(), hooked: word.is_hooked() }
    }

    fn has(&self, state: State) -> bool {
        self.frags.contains(&state)
    }

    fn all(&self, state: State) -> bool {
        self.frags == [state; N]
    }

    fn change(&mut self, from: State, to: State) {
        for frag in self.frags.iter_mut().filter(|frag| **frag == from) {
            *frag = to;
        }
    }

    /// Frees used fragments to `state`; false, and no change, if one of them is not used.
    fn free(&mut self, mask: Mask, state: State) -> bool {
        let all_used = !mask.is_empty() && mask.iter().all(|i| self.frags[i] == Used);
        if all_used {
            mask.iter().for_each(|i| self.frags[i] = state);
        }
        all_used
    }

    /// Puts the page where it belongs once something has become free: all free goes home, unless the
    /// mm keeps such pages and finds it on the list or can put it there; the first free one lists
    /// it (if the mm is open), else all stays. Answers also whether it goes home.
    fn place(&mut self, had_free: bool, lists: Lists) -> (ListOp, bool) {
        let on_list = self.host.is_some();
        let kept = lists == Lists::Empty && (on_list || !had_free);
        if self.all(Free) && !kept {
            (if on_list { ListOp::Unlink } else { ListOp::Keep }, true)
        } else if !had_free && lists != Lists::Nothing && self.has(Free) {
            self.host = (0..N).rev().find(|&i| self.frags[i] == Free);
            (ListOp::Link, false)
        } else {
            (ListOp::Keep, false)
        }
    }
}

/// Every legal word of a page of `N`, but for zero.
fn words<const N: usize>() -> Vec<Word<N>> {
    let mut words = Vec::new();
    for states in 0..4_usize.pow(N as u32) {
        let in_state = |state| {
            (0..N)
                .filter(|&i| states / 4_usize.pow(i as u32) % 4 == state)
                .fold(0_u64, |m, i| m | 1 << i)
        };
        let masks = in_state(1) | in_state(2) << 16 | in_state(3) << 32;
        for flags in 0..256_u64 {
            let word = Word::from_bits(masks | flags << 48);
            if word.is_live() && word.is_legal() {
                words.push(word);
            }
        }
    }
    words
}

fn check_step<const N: usize>(
    before: Word<N>,
    step: Step<N>,
    expect: Page<N>,
    (list, home): (ListOp, bool),
    (is_callback, call): (bool, bool),
) {
    assert!(step.word.is_legal(), "{before} -> {}", step.word);
    if home {
        assert_eq!(step.word.bits(), 0, "{before}");
    } else {
        assert_eq!(Page::of(step.word), expect, "{before} -> {}", step.word);
    }
    assert_eq!((step.list, step.call), (list, call), "{before}");
    let lookers = if before.is_shown() { Lookers::Own } else { Lookers::Others };
    let seen_off = is_callback && before.is_shown() && before.free().is_empty();
    let lookers = if seen_off { Lookers::None } else { lookers };
    assert_eq!(step.home, home.then_some(lookers), "{before}");
    // LISTED changes exactly where the list does.
    assert_eq!(before.is_listed() != step.word.is_listed(), step.list != ListOp::Keep);
}

fn all_transitions<const N: usize>() {
    let words = words::<N>();
    assert!(words.len() > 4_usize.pow(N as u32) / 2);
    for &word in &words {
        take(word);
        grace_over(word);
        close(word);
        for bits in 0..=Word::<N>::ALL.bits() {
            let mask = Mask::from_bits(bits);
            retire(word, mask);
            give_back(word, mask);
        }
    }
}

fn take<const N: usize>(word: Word<N>) {
    let before = Page::of(word);
    let takeable =
        before.host.and_then(|host| (0..N).find(|&i| i != host && before.frags[i] == Free));
    let after = word.take();
    assert_eq!(after.map(|(_, index)| index), takeable);
    if let Some((after, index)) = after {
        let mut page = before;
        page.frags[index] = Used;
        assert_eq!(Page::of(after), page);
        assert!(after.is_legal() && after.is_listed());
    }
    assert_eq!(word.take_shown(), word.take().filter(|_| before.shown));
    if before.host.is_some() {
        assert_eq!(Page::of(word.show()), Page { shown: true, ..before });
    }
    let all = word.take_all();
    assert_eq!(all.is_some(), before.host.is_some());
    if let Some((after, mask)) = all {
        assert!((0..N).all(|i| (before.frags[i] == Free) == mask.contains(Mask::single(i))));
        let mut page = Page { host: None, ..before };
        page.change(Free, Used);
        assert_eq!(Page::of(after), page);
        assert!(after.is_legal());
    }
}

fn retire<const N: usize>(word: Word<N>, mask: Mask) {
    for joins in [false, true] {
        let mut page = Page::of(word);
        let idle = !page.has(Pending);
        // Nothing joins where the hook has run.
        let pends = idle || joins && !word.is_hooked();
        let allowed = page.free(mask, if pends { Pending } else { Next });
        let after = word.retire(mask, || {
            assert!(!idle && !word.is_hooked(), "asked in vain");
            joins
        });
        assert_eq!(after.is_ok(), allowed, "{word} {mask:?}");
        if let Ok((after, call)) = after {
            assert_eq!(call, idle);
            assert_eq!(Page::of(after), page);
            assert!(after.is_legal());
        }
    }
}

fn give_back<const N: usize>(word: Word<N>, mask: Mask) {
    for lists in [Lists::Nothing, Lists::Partial, Lists::Empty] {
        let mut page = Page::of(word);
        let had_free = page.has(Free);
        let allowed = page.free(mask, Free);
        let step = word.give_back(mask, lists);
        assert_eq!(step.is_ok(), allowed, "{word} {mask:?}");
        if let Ok(step) = step {
            let todo = page.place(had_free, lists);
            check_step(word, step, page, todo, (false, false));
        }
    }
}

fn grace_over<const N: usize>(word: Word<N>) {
    let before = Page::of(word);
    // The callback runs only where a call was in flight.
    if !before.has(Pending) {
        return;
    }
    assert_eq!(Page::of(word.hooked()), Page { hooked: true, ..before });
    for lists in [Lists::Nothing, Lists::Partial, Lists::Empty] {
        let step = word.grace_over(lists);
        let mut page = Page { hooked: false, ..before };
        page.change(Pending, Free);
        page.change(Next, Pending);
        let todo = page.place(before.has(Free), lists);
        check_step(word, step, page, todo, (true, page.has(Pending)));
    }
}

fn close<const N: usize>(word: Word<N>) {
    let mut page = Page::of(word);
    let step = word.close();
    let listed = page.host.take().is_some();
    let list = if listed { ListOp::Unlink } else { ListOp::Keep };
    check_step(word, step, page, (list, listed && page.all(Free)), (false, false));
}

#[test]
fn pages_of_2() {
    all_transitions::<2>();
}

/// The smallest page on which F, P and U are all non-empty.
#[test]
fn pages_of_3() {
    all_transitions::<3>();
}

#[test]
fn pages_of_4() {
    all_transitions::<4>();
}

#[test]
fn pages_of_8() {
    all_transitions::<8>();
}

/// What a word of a page of two may say, bit by bit, with a fragment too many in each mask and a bit
/// too many on top.
#[test]
fn nothing_else_is_legal() {
    for masks in 0..8_u64.pow(3) {
        for flags in 0..1 << 9 {
            let [f, p, x] = [masks % 8, masks / 8 % 8, masks / 64];
            let bits = f | p << 16 | x << 32 | flags << 48;
            let says = |flag: u64| flags / flag % 2 == 1;
            let (host, listed, live, hooked) =
                ((flags % 16) as usize, says(16), says(64), says(128));
            let within = |mask: u64, i| mask >> i & 1 == 1;
            let states = |i| [f, p, x].into_iter().filter(|&mask| within(mask, i)).count();
            let legal = bits == 0
                || live
                    && !says(256)
                    && states(0) <= 1
                    && states(1) <= 1
                    && states(2) == 0
                    && (p != 0 || x == 0 && !hooked)
                    && (if listed { within(f, host) } else { host == 0 });
            assert_eq!(Word::<2>::from_bits(bits).is_legal(), legal, "{bits:#x}");
        }
    }
}

#[test]
fn zero_is_legal_and_owns_nothing() {
    let word = Word::<16>::from_bits(0);
    assert!(word.is_legal() && !word.is_live());
    assert!(word.used().is_empty());
    assert!(word.retire(Mask::single(0), || true).is_err());
}

#[test]
fn words_read_like_pages() {
    let (word, call) = Word::<8>::fresh(true).retire(Mask::single(2), || true).unwrap();
    assert!(call);
    let (word, call) = word.retire(Mask::single(3), || false).unwrap();
    assert!(!call);
    let step = word.give_back(Mask::from_bits(0xf0), Lists::Partial).unwrap();
    assert_eq!(format!("{}", step.word), "UUPXFFFF listed host=7");
    assert_eq!(format!("{:?}", Word::<2>::from_bits(0)), "Word(at its source)");
    let one = Word::<2>::fresh(false).give_back(Mask::single(1), Lists::Partial).unwrap();
    assert_eq!(format!("{}", one.word), "UF quiet host=1");
    let (joined, _) = one.word.retire(Mask::single(0), || true).unwrap();
    assert_eq!(format!("{}", joined.hooked()), "PF quiet host=1 hooked");
    assert_eq!(format!("{}", one.word.in_lane(127)), "UF quiet host=1 lane=127");
    assert_eq!(one.word.in_lane(127).in_lane(0), one.word);
    let broken = Word::<2>::from_bits(one.word.bits() | 2 << 16);
    assert_eq!(format!("{broken}"), "U? quiet host=1 illegal 0x0051000000020002");
}
