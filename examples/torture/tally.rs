//! What readers saw, and what went wrong first.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::element::{END, Find, UNLINKED};

/// How many stages there are.
const STAGES: usize = END as usize + 1;

/// Something that must not be.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Wrong {
    CutShort,
    Spoilt,
    Barrier,
    Ticket,
    Lost,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutShort => "a grace period was cut short",
            Self::Spoilt => "an element was reused, or not yet filled, in a reader's section",
            Self::Barrier => "a barrier did not wait for a callback",
            Self::Ticket => "a ticket's grace period goes on after one that began later is over",
            Self::Lost => "an element waits for a callback that never runs",
        })
    }
}

/// Of all threads.
pub(crate) struct Totals {
    sections: AtomicU64,
    updates: AtomicU64,
    pub(crate) signals: AtomicU64,
    pub(crate) threads: AtomicU64,
    stages: [AtomicU64; STAGES],
    /// The first thing that went wrong, plus one, and above that the oldest stage seen then.
    wrong: AtomicU64,
}

impl Totals {
    pub(crate) fn new() -> Self {
        let [sections, updates, signals, threads, wrong] = [const { AtomicU64::new(0) }; 5];
        let stages = [const { AtomicU64::new(0) }; STAGES];
        Self { sections, updates, signals, threads, stages, wrong }
    }

    pub(crate) fn sections(&self) -> u64 {
        self.sections.load(Ordering::Relaxed)
    }

    pub(crate) fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }

    /// In how many sections the oldest stage was this or that.
    pub(crate) fn stages(&self) -> [u64; STAGES] {
        self.stages.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Also for signal handlers.
    pub(crate) fn complain(&self, wrong: Wrong, stage: u64) {
        let first = stage << 8 | (wrong as u64 + 1);
        let _ = self.wrong.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.load(Ordering::Relaxed) != 0
    }

    /// What went wrong first.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        use Wrong::{Barrier, CutShort, Lost, Spoilt, Ticket};

        let first = self.wrong.load(Ordering::Relaxed);
        let all = [CutShort, Spoilt, Barrier, Ticket, Lost];
        match all.into_iter().find(|wrong| *wrong as u64 + 1 == first & 0xff) {
            Some(wrong) => Err(format!("{wrong} (an element at stage {})", first >> 8)),
            None => Ok(()),
        }
    }
}

/// Of one thread, or of one signal: counted without touching what other threads write.
pub(crate) struct Tally<'a> {
    totals: &'a Totals,
    sections: u64,
    updates: u64,
    stages: [u64; STAGES],
}

impl<'a> Tally<'a> {
    pub(crate) fn new(totals: &'a Totals) -> Self {
        Self { totals, sections: 0, updates: 0, stages: [0; STAGES] }
    }

    /// Looks once more at what a reader has found, before it leaves its section.
    #[inline]
    pub(crate) fn check(&mut self, find: &Find<'_>) {
        let stage = find.stage();
        self.sections += 1;
        self.stages[stage as usize] += 1;
        if stage > UNLINKED {
            self.totals.complain(Wrong::CutShort, stage);
        } else if !find.is_whole() {
            self.totals.complain(Wrong::Spoilt, stage);
        }
    }

    pub(crate) fn count_update(&mut self) {
        self.updates += 1;
    }

    /// Adds it to the others'.
    pub(crate) fn flush(&mut self) {
        let add = |total: &AtomicU64, count: &mut u64| {
            if *count != 0 {
                total.fetch_add(std::mem::take(count), Ordering::Relaxed);
            }
        };
        add(&self.totals.sections, &mut self.sections);
        add(&self.totals.updates, &mut self.updates);
        self.totals
            .stages
            .iter()
            .zip(&mut self.stages)
            .for_each(|(total, count)| add(total, count));
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
