//! What is read and retired: elements that tell how many grace periods have passed since they were unlinked.
//!
//! What a section finds was published when it began, or later, so it is unlinked later than that, and the grace period
//! that begins then waits for the section. Until the reader leaves it, the element is published or unlinked, and no
//! callback of it has run. Nor can a section find an element that is older: whoever did not have to wait for the
//! section has seen to it that it finds the next one.

use std::{
    mem::offset_of,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use ptfrag::{Domain, Rcu, RcuHead};

/// The stage of an element that is published. It is found from then on.
const PUBLISHED: u64 = 0;
/// That of one which was unlinked and has not waited for a grace period yet: the last one that a reader may see in a
/// section in which it has found the element.
pub(crate) const UNLINKED: u64 = 1;
/// That of one which may be used again. A single grace period would do for that; the others show by how much one was
/// too short.
pub(crate) const END: u64 = 10;

/// Room for the stages of a life.
const STAGES: u64 = 16;

/// The life that an element is in, and its stage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(u64);

impl Age {
    fn new(life: u64, stage: u64) -> Self {
        Self(life * STAGES + stage)
    }

    fn life(self) -> u64 {
        self.0 / STAGES
    }

    pub(crate) fn stage(self) -> u64 {
        self.0 % STAGES
    }
}

const WORDS: usize = 3;
const POISON: u64 = 0x6b6b_6b6b_6b6b_6b6b;

fn content(life: u64, at: usize) -> u64 {
    life.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at as u64
}

/// Memory that stays what it is, so that a grace period that is too short is found, and does no harm.
#[repr(C)]
pub(crate) struct Element {
    head: RcuHead,
    age: AtomicU64,
    content: [AtomicU64; WORDS],
    /// The domain, which outlives what is queued in it.
    domain: AtomicPtr<Domain>,
}

impl Element {
    pub(crate) fn new(domain: &Domain) -> Self {
        Self {
            head: RcuHead::new(),
            age: AtomicU64::new(Age::new(0, END).0),
            content: [const { AtomicU64::new(POISON) }; WORDS],
            domain: AtomicPtr::new(ptr::from_ref(domain).cast_mut()),
        }
    }

    pub(crate) fn age(&self) -> Age {
        // Relaxed: a reader asks RCU what it may see, and nothing else.
        Age(self.age.load(Ordering::Relaxed))
    }

    /// Whether it may be used again. What was done to it before happens before this.
    pub(crate) fn is_free(&self) -> bool {
        Age(self.age.load(Ordering::Acquire)).stage() == END
    }

    /// Whether nobody has to do anything about it: it is free, or it is published.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_free() || self.age().stage() == PUBLISHED
    }

    fn become_at(&self, age: Age) {
        // Release: pairs with `is_free`.
        self.age.store(age.0, Ordering::Release);
    }

    /// Begins another life. Only for the owner of its pool, who publishes it next.
    pub(crate) fn revive(&self) {
        let life = self.age().life() + 1;
        for (at, word) in self.content.iter().enumerate() {
            word.store(content(life, at), Ordering::Relaxed);
        }
        self.become_at(Age::new(life, PUBLISHED));
    }

    /// Goes on to the next stage. Only for whoever has unlinked it, and then for whoever has waited for a grace period.
    /// Returns whether the life goes on.
    pub(crate) fn grow_older(&self) -> bool {
        let age = self.age();
        if age.stage() + 1 >= END {
            self.end();
            return false;
        }
        self.become_at(Age(age.0 + 1));
        true
    }

    /// Ends the life at once.
    pub(crate) fn end(&self) {
        for word in &self.content {
            word.store(POISON, Ordering::Relaxed);
        }
        self.become_at(Age::new(self.age().life(), END));
    }

    /// Has the element grow older with each grace period, to the end.
    ///
    /// # Safety
    /// It has been unlinked, its head is not queued, and the caller alone looks after it. It outlives the domain.
    pub(crate) unsafe fn queue(&self, domain: &Domain) {
        const { assert!(offset_of!(Element, head) == 0) };
        let head = NonNull::from(self).cast::<RcuHead>();
        // SAFETY: the head is idle and lives long enough, and `one_later` is made for it.
        unsafe { domain.call(head, one_later) };
    }
}

/// A grace period of the element is over.
unsafe extern "C" fn one_later(head: NonNull<RcuHead>) {
    // SAFETY: elements outlive the domain.
    let element = unsafe { head.cast::<Element>().as_ref() };
    if !element.grow_older() {
        return;
    }
    // SAFETY: a domain is there while it runs callbacks.
    let domain = unsafe { &*element.domain.load(Ordering::Relaxed) };
    // SAFETY: the head is not queued any more, and belongs to its callback.
    unsafe { element.queue(domain) };
}

/// An element that a reader has found in its section.
pub(crate) struct Find<'a> {
    element: &'a Element,
    life: u64,
    /// At that time.
    stage: u64,
}

impl<'a> Find<'a> {
    pub(crate) fn new(element: &'a Element) -> Self {
        let age = element.age();
        Self { element, life: age.life(), stage: age.stage() }
    }

    /// The oldest stage that was seen, for a reader that is still in the section.
    pub(crate) fn stage(&self) -> u64 {
        let now = self.element.age();
        if now.life() == self.life { now.stage().max(self.stage) } else { END }
    }

    /// Whether its content is that of its life.
    pub(crate) fn is_whole(&self) -> bool {
        let words = self.element.content.iter().enumerate();
        words.into_iter().all(|(at, word)| word.load(Ordering::Relaxed) == content(self.life, at))
    }
}
