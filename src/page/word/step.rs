//! What a transition is told, and what it answers.

use super::Word;

/// Which pages the mm lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// None any more: it was closed.
    Nothing,
    /// Those with something free and something not.
    Partial,
    /// Those that are all free too: it keeps them.
    Empty,
}

/// What a transition does to the partial list. Changes are made under the mm's lock, together with
/// the change of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOp {
    /// Nothing: the word is changed without the lock.
    Keep,
    /// The page goes on the list.
    Link,
    /// The page comes off the list.
    Unlink,
}

/// Who may still look at a page that goes home, without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookers {
    /// Nobody: a grace period has passed since the page left the list.
    None,
    /// Who found it when its mm showed it.
    Own,
    /// Who found it when other mms showed it before: its own has not.
    Others,
}

/// A transition: the new word, and what is to be done outside it, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step<const N: usize> {
    /// The word to install.
    pub word: Word<N>,
    /// The list work, in the lock hold in which the word is installed.
    pub list: ListOp,
    /// Then, with no lock held: queue the page's RCU head.
    pub call: bool,
    /// Or: give the page back to its source, with a note of who may still look at it. The word is zero.
    pub home: Option<Lookers>,
}

impl<const N: usize> Step<N> {
    /// Whether the page stays on the list though it is all free.
    #[must_use]
    #[inline]
    pub fn keeps_empty(&self) -> bool {
        self.word.is_listed() && self.word.is_all_free()
    }
}

/// A free of nothing, or of fragments of which some are not used: a double free, or a stray
/// pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUsed;
