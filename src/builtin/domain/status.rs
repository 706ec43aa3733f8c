//! What an operator sees of a domain.

use alloc::string::String;
use core::{fmt, time::Duration};

use super::{Shared, signature::Signature, time};

/// What a [`Domain`](super::Domain) is doing, from [`Domain::status`](super::Domain::status): something to log.
///
/// Each figure is as its thread last left it. Together they are no snapshot.
///
/// ```
/// use ptfrag::OwnedDomain;
///
/// let domain = OwnedDomain::new();
/// let guard = domain.read();
/// let status = domain.status();
/// assert_eq!((status.queued, status.in_use), (0, 1));
/// assert_eq!(status.in_the_way, None);
/// println!("{status}"); // epoch 4503599627370496: 0 heads queued, 0 callbacks run; ...
/// # drop(guard);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainStatus {
    /// The epoch.
    pub epoch: u64,
    /// Heads that wait to be run. Of those that were queued since their thread last polled or was looked after it is an
    /// estimate: up to 256 for each thread.
    pub queued: usize,
    /// How long the oldest of the others has been waiting.
    pub oldest: Option<HeadAge>,
    /// Callbacks run so far, but for those that the domain's drop runs.
    pub ran: u64,
    /// Records of threads that have been in a section lately, or have something queued.
    pub in_use: usize,
    /// Records of threads that have not, which cost the others nothing.
    pub parked: usize,
    /// Records that threads have left, for others to take.
    pub free: usize,
    /// A thread that is in a section since the epoch before this one, so that this one cannot end.
    pub in_the_way: Option<ThreadInTheWay>,
}

/// How long a head has been waiting: see [`DomainStatus::oldest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadAge {
    /// Epochs since its grace period began; after two its callback may run.
    pub epochs: u64,
    /// The time since then, to a few milliseconds.
    pub time: Duration,
}

/// A thread that holds a domain's epoch up: see [`DomainStatus::in_the_way`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadInTheWay {
    /// The first 16 bytes of the name that it had in its first section in this domain, on Linux 15, since the system knows
    /// no longer ones; there it has its creator's if it was given none. Else empty then.
    pub name: String,
    /// The system's number for it (Linux's `gettid`), or zero where that is not known: on other systems, and for
    /// sections in destructors of thread-locals.
    pub id: u64,
}

impl Shared {
    pub(super) fn status(&self) -> DomainStatus {
        let now = self.clock.now();
        let mut status = DomainStatus {
            epoch: now.to_bits(),
            queued: 0,
            oldest: None,
            ran: 0,
            in_use: 0,
            parked: 0,
            free: 0,
            in_the_way: None,
        };
        let asked = time::now();
        for record in self.records.all() {
            status.queued += record.queued();
            status.ran += record.ran();
            let age = record.queue.oldest().map(|(tag, since)| HeadAge {
                epochs: tag.age(now),
                time: Duration::from_millis(asked.saturating_sub(since)),
            });
            if age.is_some_and(|age| status.oldest.is_none_or(|oldest| age.time >= oldest.time)) {
                status.oldest = age;
            }
            if record.is_free() {
                status.free += 1;
            } else if record.is_parked() {
                status.parked += 1;
            } else if record.is_owned() {
                status.in_use += 1;
            }
            if status.in_the_way.is_none() && record.announcement().is_before(now) {
                status.in_the_way = Some(record.signature().read());
            }
        }
        // So that the next look tells a section that is still open from one that has just begun, also if nobody polls.
        // Only now: who enters afterwards is not in the way.
        if self.has_work() {
            self.advance();
        }
        status
    }
}

impl Signature {
    fn read(&self) -> ThreadInTheWay {
        let (name, id) = self.get();
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        ThreadInTheWay { name: String::from_utf8_lossy(&name[..len]).into_owned(), id }
    }
}

impl fmt::Display for DomainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}: {} heads queued", self.epoch, self.queued)?;
        if let Some(oldest) = self.oldest {
            write!(f, ", the oldest for {} epochs, {:?}", oldest.epochs, oldest.time)?;
        }
        write!(f, ", {} callbacks run; ", self.ran)?;
        write!(f, "{} records in use, {} parked, {} free", self.in_use, self.parked, self.free)?;
        match &self.in_the_way {
            Some(thread) => write!(f, "; held up by {thread}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ThreadInTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "a thread without a name" } else { &self.name };
        match self.id {
            0 => f.write_str(name),
            id => write!(f, "{name} ({id})"),
        }
    }
}
