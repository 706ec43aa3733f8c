//! What the page words may say, given what the ledger knows, and what it hears for that of
//! operations that are under way.

use std::fmt;

use ptfrag::word::Word;

use super::{
    book::{Book, MmState, Sets, Way},
    ledger::Ledger,
};

impl Ledger {
    /// The calling thread is about to take from `mm`.
    pub(super) fn taking(&self, mm: usize) {
        self.enter(|book| {
            book.me().taking = Some(mm);
            Ok(())
        });
    }

    /// The operation that the calling thread was at is over.
    pub(super) fn settled(&self) {
        self.enter(|book| {
            let me = book.me();
            me.taking = None;
            me.freeing.clear();
            Ok(())
        });
    }

    /// `mm` is there, and open.
    pub(super) fn opened(&self, mm: usize) {
        self.enter(|book| {
            book.mms.resize_with(mm + 1, MmState::default);
            Ok(())
        });
    }

    /// Somebody begins to close `mm`, or is at the end of it. The first who is at the end has closed
    /// it.
    pub(super) fn closing(&self, mm: usize, way: Way) {
        self.enter(|book| {
            let state = &mut book.mms[mm];
            state.way = state.way.max(way);
            Ok(())
        });
    }

    /// A handle of `mm` is going to be made.
    pub(super) fn has_handles(&self, mm: usize) {
        self.enter(|book| {
            book.mms[mm].has_handles = true;
            Ok(())
        });
    }

    /// The pages that `mm` has, or any.
    pub(super) fn pages_out(&self, mm: Option<usize>) -> Vec<usize> {
        self.enter(|book| {
            let out =
                |&page: &usize| book.owners[page].is_some_and(|at| mm.is_none_or(|mm| mm == at));
            Ok((0..book.owners.len()).filter(out).collect())
        })
    }

    /// Compares the words of all pages of an mm, or of several. They were read in this very step.
    ///
    /// What a thread is freeing may have got to its page or not. A thread that takes may have got a
    /// fragment, or a fresh page, of which the ledger hears when it is handed out; so an mm has no
    /// more of these than takers. What a handle has claimed or keeps counts as used, and how much
    /// that is only the handle knows.
    pub(super) fn compare<const N: usize>(&self, words: &[(usize, Word<N>)]) {
        self.enter(|book| {
            let mut hidden = vec![0; book.mms.len()];
            for &(page, word) in words {
                let Some(mm) = book.owners[page] else { continue };
                let sets = book.sets(page);
                book.compare_page(mm, word, &sets).map_err(|rule| {
                    format!("page {page} of mm {mm}, where {rule}: {word} and {sets:x?}")
                })?;
                let free = sets.free & word.used().bits();
                // Somebody who has just fetched a page has all of it.
                let most = if free == Word::<N>::ALL.bits() { 1 } else { u32::MAX };
                hidden[mm] += most.min((free & !sets.under_way).count_ones());
            }
            for (mm, &hidden) in hidden.iter().enumerate() {
                let takers = book.threads.iter().filter(|one| one.taking == Some(mm)).count();
                if !book.mms[mm].has_handles && hidden as usize > takers {
                    return Err(lost(mm, hidden, takers, words));
                }
            }
            Ok(())
        });
    }
}

impl Book {
    /// Answers with the rule that is broken, if one is.
    fn compare_page<const N: usize>(
        &self,
        mm: usize,
        word: Word<N>,
        sets: &Sets,
    ) -> Result<(), &'static str> {
        let (free, used) = (word.free().bits(), word.used().bits());
        let (pending, next) = (word.pending().bits(), word.next().bits());
        let may_list = free != 0;
        let listed = match self.mms[mm].way {
            Way::Open => word.is_listed() == may_list,
            Way::Closing => may_list || !word.is_listed(),
            Way::Closed => !word.is_listed(),
        };
        let at_rest = free != Word::<N>::ALL.bits() || word.is_listed();
        let rules = [
            (word.is_legal(), "the word is not legal"),
            (sets.used & !used == 0, "what somebody has is not used"),
            (sets.retired & free == 0, "something is free before its grace period is over"),
            (
                sets.retired & !(pending | next | used & sets.under_way) == 0,
                "what was retired does not wait",
            ),
            (sets.free & next == 0, "something waits that was not retired"),
            (listed, "LISTED is wrong"),
            (at_rest, "all is free, and not listed"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, rule)) => Err(rule),
            None => Ok(()),
        }
    }
}

fn lost<W: fmt::Display>(mm: usize, hidden: u32, takers: usize, words: &[(usize, W)]) -> String {
    let words: Vec<_> = words.iter().map(|(page, word)| format!("{page}: {word}")).collect();
    format!("lost: mm {mm} has {hidden} free fragments used, for {takers} takers, in {words:?}")
}
