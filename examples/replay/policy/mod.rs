//! The ways of placing tables in pages that are compared.

mod plain;
mod powerpc;
mod ptfrag;
mod s390;
mod trace_rcu;

pub(crate) use plain::Plain;
pub(crate) use powerpc::Powerpc;
pub(crate) use ptfrag::Ptfrag;
pub(crate) use s390::S390;

/// What a policy has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Pages between taken from and returned to their source.
    pub(crate) held: u64,
    /// Pages ever taken from the source.
    pub(crate) taken: u64,
    pub(crate) lock_acquisitions: u64,
    pub(crate) rcu_calls: u64,
    /// Allocations served by a fragment that had been used before since its page was last taken
    /// from the source.
    pub(crate) reused: u64,
}

/// Where tables live. The driver says what happens and lets grace periods pass; an mm is opened
/// by its first table and opened anew if one follows its exit.
pub(crate) trait Policy {
    /// What one or more frees wait for a grace period with.
    type Deferred;

    fn name(&self) -> &'static str;

    /// Bytes of a page of this policy.
    fn page_bytes(&self) -> usize;

    /// What comes next happens on this CPU, which most policies do not care about.
    fn on(&mut self, _cpu: u32) {}

    /// It is `now`; of the grace periods that have not begun the first will end at `next`.
    fn at(&mut self, _now: u64, _next: u64) {}

    /// Finds a place for `table`.
    fn alloc(&mut self, mm: usize, table: usize) -> Result<(), String>;

    /// Frees `table`, whose memory readers may hold until a grace period has passed.
    fn free(&mut self, table: usize);

    /// The mm exits. Tables of it may live on.
    fn exit(&mut self, mm: usize);

    /// What has been put off since the last time this was asked: it waits for a grace period that
    /// begins now.
    fn deferred(&mut self) -> Option<Self::Deferred>;

    /// The grace period of `deferred` has passed.
    fn grace_over(&mut self, deferred: Self::Deferred);

    fn tally(&self) -> Tally;

    /// Pages that the source itself says are out, once nothing is left alive.
    fn pages_out(&self) -> u64 {
        self.tally().held
    }
}
