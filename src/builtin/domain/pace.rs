//! How often, and how much at a time.

use crate::sync::bound;

/// The most callbacks that a poll runs from the queues of others, and from its own thread's beyond twice what that
/// has queued since its last poll: few enough for a pause between two operations, enough to pay for the look at the
/// records. As long as so many wait, the poll goes on with steps of the epoch.
pub(super) const BATCH: usize = 64;

/// After so many calls of its own a thread polls at the next end of a section: half a batch, so
/// that a backlog shrinks.
pub(super) const CALLS_PER_POLL: usize = BATCH / 2;

/// After so many calls without a poll the queuer itself sees to it that its stack does not grow long.
pub(super) const CALLS_PER_GATHERING: usize = 256;

/// A thread with heads of its own also polls at every so many ends of a section. A call needs three
/// polls, and a [`Local`](crate::Local) makes one at a time: what it retires meanwhile in a section
/// each has to fit into it, which it does if the fragments have less than 16 KiB.
pub(super) const DROPS_PER_POLL: usize = 64;

/// A thread that has queued nothing still polls at every so many ends of a section, for the others.
pub(super) const IDLE_DROPS_PER_POLL: usize = 128;

/// Where a step of the epoch is a system call that costs so many nanoseconds, so many times as many calls and ends of
/// sections pass between two polls: that a section's share of it is below 4 ns, up to [`DEAR`] ones.
pub(super) fn pace(price: u64) -> usize {
    2 + (price.min(DEAR) / 256) as usize
}

/// A price above so many nanoseconds does not lead to fewer polls than this one: too much would wait.
pub(super) const DEAR: u64 = 2048;

/// At every so many polls a thread looks round: with heads of its own at those of others, whose records are on cache
/// lines that their owners write, and in any case for records to park.
pub(super) const POLLS_PER_ROUND: usize = 8;

/// A thread that goes in and out of sections asks so many times in an epoch whether a ticket is still current
/// before it takes the trouble: a fence, which costs as much as a section with one.
pub(super) const ASKS_WITHOUT_A_FENCE: usize = bound(2 * DROPS_PER_POLL as u32, 0) as usize;

/// So often a thread polls at most at the end of one section when pages are scarce.
pub(super) const POLLS_IN_A_HURRY: u32 = bound(64, 4);

/// After so many epochs without a poll of its owner, others look after a queue. A batch needs two
/// or three of them, so a thread that polls at all keeps its own.
pub(super) const NEGLECT: u64 = 4;

/// After so many epochs without a poll of its owner, a record in which no section is open and nothing is queued
/// is parked.
pub(super) const LONG_IDLE: u64 = bound(8, 1) as u64;
