//! The pages of the [ledger](super::ledger): the states, and what can be asked of them.

use std::ptr::NonNull;

use super::SIZE;

/// A read-side section: its thread, and which of that thread's it is.
pub(super) type Section = (usize, u64);

/// What a fragment's bytes say: the same number in each of its words.
pub(crate) type Stamp = u64;

#[derive(Clone, Debug)]
pub(super) enum State {
    /// At its source, or in F, or on its way there.
    Free,
    Owned {
        thread: usize,
        stamp: Stamp,
    },
    Published {
        stamp: Stamp,
    },
    /// With the sections that were open when it was retired, and whether a handle may keep it.
    Retired {
        stamp: Stamp,
        open: Vec<Section>,
        kept: bool,
    },
}

#[derive(Clone, Default)]
pub(super) struct Thread {
    pub(super) depth: usize,
    pub(super) section: u64,
    /// Fragments that the section has seen.
    pub(super) seen: Vec<usize>,
    pub(super) in_callback: bool,
    /// The mm that it is taking from at this moment.
    pub(super) taking: Option<usize>,
    /// Fragments that it is freeing at this moment.
    pub(super) freeing: Vec<usize>,
}

/// Whether an mm is open.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    #[default]
    Open,
    /// Somebody is closing it at this moment.
    Closing,
    Closed,
}

/// What the pages of an mm have in common.
#[derive(Default)]
pub(super) struct MmState {
    pub(super) way: Way,
    /// Handles have claimed fragments that count as used.
    pub(super) has_handles: bool,
}

pub(super) struct Book {
    pub(super) first: usize,
    pub(super) frags: usize,
    pub(super) states: Vec<State>,
    /// Which mm has each page.
    pub(super) owners: Vec<Option<usize>>,
    pub(super) mms: Vec<MmState>,
    pub(super) threads: Vec<Thread>,
    pub(super) takes: u64,
    pub(super) heads_gone: Vec<usize>,
    pub(super) fault: Option<String>,
}

/// What the ledger thinks of a page, as sets of fragments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    pub(crate) free: u16,
    pub(crate) used: u16,
    pub(crate) retired: u16,
    /// Those that a thread is freeing at this moment, and those that a handle may keep.
    pub(crate) under_way: u16,
}

impl Book {
    pub(super) fn new(first: NonNull<u8>, pages: usize, frags: usize) -> Self {
        Self {
            first: first.addr().get(),
            frags,
            states: vec![State::Free; pages * frags],
            owners: vec![None; pages],
            mms: Vec::new(),
            threads: Vec::new(),
            takes: 0,
            heads_gone: Vec::new(),
            fault: None,
        }
    }

    pub(super) fn at(&self, frag: NonNull<u8>) -> usize {
        (frag.addr().get() - self.first) / SIZE
    }

    pub(super) fn holds(&self, addr: usize) -> bool {
        addr >= self.first && addr < self.first + self.states.len() * SIZE
    }

    pub(super) fn my_index(&self) -> usize {
        shuttle::current::me().into()
    }

    pub(super) fn me(&mut self) -> &mut Thread {
        let index = self.my_index();
        if self.threads.len() <= index {
            self.threads.resize(index + 1, Thread::default());
        }
        &mut self.threads[index]
    }

    pub(super) fn is_open(&self, (thread, section): Section) -> bool {
        let thread = &self.threads[thread];
        thread.depth > 0 && thread.section == section
    }

    pub(super) fn open_sections(&self) -> Vec<Section> {
        let threads = self.threads.iter().enumerate().filter(|(_, one)| one.depth > 0);
        threads.map(|(index, one)| (index, one.section)).collect()
    }

    pub(super) fn owned(&self, frag: NonNull<u8>) -> Result<Stamp, String> {
        match &self.states[self.at(frag)] {
            State::Owned { stamp, .. } => intact(frag, *stamp),
            state => Err(format!("lost: {frag:p}, which is {state:?}")),
        }
    }

    pub(super) fn owned_by_me(&self, frag: NonNull<u8>) -> Result<Stamp, String> {
        match self.states[self.at(frag)] {
            State::Owned { thread, .. } if thread != self.my_index() => {
                Err(format!("{frag:p} has two owners, one is thread {thread}"))
            }
            _ => self.owned(frag),
        }
    }

    /// A thread that reads a fragment in a section.
    pub(super) fn reader(&self, at: usize) -> Option<usize> {
        self.threads.iter().position(|one| one.seen.contains(&at))
    }

    /// Retires a fragment, which a handle may keep, or else goes to its page.
    pub(super) fn retire(&mut self, frag: NonNull<u8>, kept: bool) -> Result<(), String> {
        let at = self.at(frag);
        let stamp = match self.states[at] {
            State::Owned { .. } => self.owned_by_me(frag)?,
            _ => self.published(frag)?,
        };
        let open = self.open_sections();
        self.states[at] = State::Retired { stamp, open, kept };
        self.me().freeing.push(at);
        Ok(())
    }

    /// What a reader may find: published, or retired since.
    pub(super) fn published(&self, frag: NonNull<u8>) -> Result<Stamp, String> {
        match &self.states[self.at(frag)] {
            State::Published { stamp } | State::Retired { stamp, .. } => intact(frag, *stamp),
            state => Err(format!("gone under a reader: {frag:p}, which is {state:?}")),
        }
    }

    pub(super) fn sets(&self, page: usize) -> Sets {
        let mut sets = Sets::default();
        for (index, state) in self.states[page * self.frags..][..self.frags].iter().enumerate() {
            let set = match state {
                State::Free => &mut sets.free,
                State::Owned { .. } | State::Published { .. } => &mut sets.used,
                State::Retired { .. } => &mut sets.retired,
            };
            *set |= 1 << index;
            if matches!(state, State::Retired { kept: true, .. }) {
                sets.under_way |= 1 << index;
            }
        }
        let freeing = self.threads.iter().flat_map(|thread| &thread.freeing);
        for at in freeing.filter(|&at| at / self.frags == page) {
            sets.under_way |= 1 << (at % self.frags);
        }
        sets
    }
}

/// The words of a fragment, whatever is in them.
pub(super) fn words(frag: NonNull<u8>) -> [u64; SIZE / 8] {
    // SAFETY: the address is a fragment's of the source, whose memory is initialised and outlives
    // the ledger's use; no other thread runs between two scheduling points.
    unsafe { frag.cast().read_volatile() }
}

pub(super) fn intact(frag: NonNull<u8>, stamp: Stamp) -> Result<Stamp, String> {
    let words = words(frag);
    if words == [stamp; SIZE / 8] {
        Ok(stamp)
    } else {
        Err(format!("overwritten: {frag:p} has {words:#x?} instead of {stamp:#x}"))
    }
}
