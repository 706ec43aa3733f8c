//! The reference model: who owns each fragment, by address.
//!
//! Its entries are changed in the same step as the crate's call that they belong to: a free before
//! the call, a take after it, so that the ledger never calls a fragment free later than the crate
//! does. It is no part of what is scheduled: its lock is a plain one, and is never held across a
//! scheduling point.

use std::{
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use super::book::{Book, Section, Sets, Stamp, State, intact, words};

pub(crate) struct Ledger {
    book: Mutex<Book>,
}

impl Ledger {
    /// For `pages` pages of `frags` fragments, from `first` on.
    pub(super) fn new(first: NonNull<u8>, pages: usize, frags: usize) -> Self {
        Self { book: Mutex::new(Book::new(first, pages, frags)) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an entry. A fault ends the schedule by a panic, but not inside a callback, from which
    /// nothing may unwind: there it is kept until the callback has returned.
    pub(super) fn enter<R: Default>(
        &self,
        entry: impl FnOnce(&mut Book) -> Result<R, String>,
    ) -> R {
        if thread::panicking() {
            return R::default();
        }
        let mut book = self.book();
        let fault = match entry(&mut book) {
            Ok(answer) => return answer,
            Err(fault) => fault,
        };
        if book.me().in_callback {
            book.fault.get_or_insert(fault);
            return R::default();
        }
        drop(book);
        panic!("{fault}");
    }

    /// A fragment was handed out by `mm`: answers with the stamp that it is to carry.
    pub(super) fn take(&self, frag: NonNull<u8>, mm: usize) -> Stamp {
        self.enter(|book| {
            let at = book.at(frag);
            let owner = book.owners[at / book.frags];
            if owner != Some(mm) {
                return Err(format!("mm {mm} hands out {frag:p}, whose page is of {owner:?}"));
            }
            let State::Free = book.states[at] else {
                return Err(format!("handed out: {frag:p}, which is {:?}", book.states[at]));
            };
            // A null link could not be told from a wiped one, but hosts of two listed pages have
            // one that is not.
            if words(frag).iter().any(|&word| book.holds(word as usize)) {
                return Err(format!("the list node was left in {frag:p}"));
            }
            if let Some(reader) = book.reader(at) {
                return Err(format!("handed out: {frag:p}, while thread {reader} reads it"));
            }
            book.me().taking = None;
            book.takes += 1;
            let thread = book.my_index();
            let stamp = book.takes << 16 | (mm as u64) << 8 | thread as u64;
            book.states[at] = State::Owned { thread, stamp };
            Ok(stamp)
        })
    }

    /// Its owner hands a fragment to another thread.
    pub(super) fn hand_over(&self, frag: NonNull<u8>) {
        self.enter(|book| {
            let at = book.at(frag);
            let stamp = book.owned(frag)?;
            book.states[at] = State::Owned { thread: book.my_index(), stamp };
            Ok(())
        });
    }

    /// Its owner is about to give a fragment back.
    pub(super) fn give_back(&self, frag: NonNull<u8>) {
        self.enter(|book| {
            let at = book.at(frag);
            book.owned_by_me(frag)?;
            book.states[at] = State::Free;
            book.me().freeing.push(at);
            Ok(())
        });
    }

    /// Its owner is about to show a fragment to readers.
    pub(super) fn publish(&self, frag: NonNull<u8>) {
        self.enter(|book| {
            let at = book.at(frag);
            let stamp = book.owned_by_me(frag)?;
            book.states[at] = State::Published { stamp };
            Ok(())
        });
    }

    /// Somebody is about to retire a fragment, of which there is no other owner.
    pub(super) fn retire(&self, frag: NonNull<u8>) {
        self.enter(|book| book.retire(frag, false));
    }

    /// Somebody is about to retire a fragment through a handle of mm `mm`, which may keep it, if it
    /// is that mm's.
    pub(super) fn retire_kept(&self, frag: NonNull<u8>, mm: usize) {
        self.enter(|book| {
            let owner = book.owners[book.at(frag) / book.frags];
            book.retire(frag, owner == Some(mm))
        });
    }

    /// The hook is called for a fragment.
    pub(super) fn reclaim(&self, frag: NonNull<u8>) {
        self.enter(|book| {
            let at = book.at(frag);
            let State::Retired { stamp, open, .. } = &book.states[at] else {
                return Err(format!("reclaimed: {frag:p}, which is {:?}", book.states[at]));
            };
            intact(frag, *stamp)?;
            if let Some(section) = open.iter().find(|&&section| book.is_open(section)) {
                return Err(format!("reclaimed: {frag:p}, before section {section:?} ended"));
            }
            if let Some(reader) = book.reader(at) {
                return Err(format!("reclaimed: {frag:p}, while thread {reader} reads it"));
            }
            book.states[at] = State::Free;
            Ok(())
        });
    }

    /// The calling thread found a fragment in its section; it stays readable until that ends.
    pub(super) fn see(&self, frag: NonNull<u8>) -> Stamp {
        self.enter(|book| {
            let at = book.at(frag);
            let stamp = book.published(frag)?;
            book.me().seen.push(at);
            Ok(stamp)
        })
    }

    /// The calling thread looks once more at a fragment that it has seen in this section.
    pub(super) fn still(&self, frag: NonNull<u8>, stamp: Stamp) {
        self.enter(|book| match book.published(frag)? {
            now if now == stamp => Ok(()),
            now => Err(format!("reused under a reader: {frag:p}, {stamp:#x} became {now:#x}")),
        });
    }

    pub(super) fn section_begins(&self) {
        let mut book = self.book();
        let me = book.me();
        me.depth += 1;
        if me.depth == 1 {
            me.section += 1;
        }
    }

    pub(super) fn section_ends(&self) {
        let mut book = self.book();
        let me = book.me();
        me.depth -= 1;
        if me.depth == 0 {
            me.seen.clear();
        }
    }

    pub(super) fn open_sections(&self) -> Vec<Section> {
        self.book().open_sections()
    }

    pub(super) fn are_over(&self, sections: &[Section]) -> bool {
        let book = self.book();
        sections.iter().all(|&section| !book.is_open(section))
    }

    /// Whether the calling thread may run callbacks.
    pub(super) fn is_outside(&self) -> bool {
        let mut book = self.book();
        let me = book.me();
        me.depth == 0 && !me.in_callback
    }

    /// The calling thread begins or ends a callback; the end raises the fault that it had.
    pub(super) fn callback(&self, begins: bool) {
        self.book().me().in_callback = begins;
        self.enter(|book| if begins { Ok(()) } else { book.fault.take().map_or(Ok(()), Err) });
    }

    /// Something else is wrong.
    pub(super) fn fault(&self, fault: String) {
        self.enter(|_| Err::<(), _>(fault));
    }

    pub(super) fn page_in(&self, page: NonNull<u8>, mm: usize) {
        self.enter(|book| {
            let at = book.at(page) / book.frags;
            match book.owners[at].replace(mm) {
                None => Ok(()),
                Some(before) => Err(format!("page {page:p} of mm {before} came to mm {mm}")),
            }
        });
    }

    pub(super) fn page_out(&self, page: NonNull<u8>, mm: usize) {
        self.enter(|book| {
            let at = book.at(page) / book.frags;
            let states = &book.states[at * book.frags..][..book.frags];
            if !states.iter().all(|state| matches!(state, State::Free)) {
                return Err(format!("released: page {page:p} with {states:?}"));
            }
            match book.owners[at].take() {
                Some(owner) if owner == mm => Ok(()),
                owner => Err(format!("released by mm {mm}: page {page:p} of {owner:?}")),
            }
        });
    }

    /// An mm's head was dropped.
    pub(super) fn head_gone(&self, mm: usize) {
        self.enter(|book| {
            if book.heads_gone.contains(&mm) || book.owners.contains(&Some(mm)) {
                return Err(format!("the head of mm {mm} went twice, or before its pages"));
            }
            book.heads_gone.push(mm);
            Ok(())
        });
    }

    pub(super) fn heads_gone(&self) -> usize {
        self.book().heads_gone.len()
    }

    /// The pages that an mm has, each with what the ledger thinks of it.
    pub(super) fn pages_of(&self, mm: usize) -> Vec<(usize, Sets)> {
        let book = self.book();
        let pages = book.owners.iter().enumerate().filter(|&(_, &owner)| owner == Some(mm));
        pages.map(|(page, _)| (page, book.sets(page))).collect()
    }
}
