//! Where a domain's records stand, and which of them are looked at.

use core::ptr;

use super::{
    epoch::Clock,
    fences::Fences,
    gate::{FAN, Gate, Mask},
    record::Record,
};
use crate::{
    builtin::SpinLock,
    embed::RawLock,
    sync::{AtomicPtr, AtomicUsize, Ordering, Own},
};

/// All records that were made for threads, one after the other. They stay until the tree is dropped; those that nobody
/// has had a use for lately are *parked*: nobody looks at them.
///
/// # Invariants
/// What the pointers refer to are roots, leaves and records from [`Own`]s, freed only when this is dropped.
pub(super) struct Tree {
    root: *mut Root,
    /// How many records there are or will be in a moment.
    made: AtomicUsize,
    parking: SpinLock,
}

// SAFETY: records may be shared, and the tree owns them.
unsafe impl Send for Tree {}
// SAFETY: as above; the pointers change only atomically.
unsafe impl Sync for Tree {}

/// Some records, and which of them are to be looked at.
pub(super) struct Leaf {
    gate: Gate,
    records: [AtomicPtr<Record>; FAN],
    root: *const Root,
    /// Its place in the root.
    mask: Mask,
}

/// loom would try the orders of the roots' gates beside those of the leaves', which work alike: there they stay
/// open, and shuttle plays with both.
const LOOM: bool = cfg!(ptfrag_loom);

/// Some leaves, and which of them are to be looked at.
struct Root {
    gate: Gate,
    leaves: [AtomicPtr<Leaf>; FAN],
    next: AtomicPtr<Root>,
}

/// Where a record stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    leaf: *const Leaf,
    mask: Mask,
}

impl Leaf {
    fn new(root: *const Root, place: usize) -> Self {
        Self { gate: Gate::new(), records: pointers(), root, mask: Mask::of(place) }
    }
}

impl Root {
    fn new() -> Own<Self> {
        let gate = if LOOM { Gate::open_for_good() } else { Gate::new() };
        Own::new(Self { gate, leaves: pointers(), next: AtomicPtr::new(ptr::null_mut()) })
    }

    /// The one after it, for when all of its places are taken, which no model of loom comes to.
    fn next(&self) -> Option<&Self> {
        // SAFETY: roots live as long as the tree.
        if LOOM { None } else { unsafe { load(&self.next) } }
    }
}

fn pointers<T>() -> [AtomicPtr<T>; FAN] {
    core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))
}

/// What `slot` refers to, if anything.
///
/// # Safety
/// It is null, or refers to something that lives for `'a`.
unsafe fn load<'a, T>(slot: &AtomicPtr<T>) -> Option<&'a T> {
    // Acquire: pairs with the release of whoever made it.
    let value = slot.load(Ordering::Acquire);
    // SAFETY: the caller says so.
    unsafe { value.as_ref() }
}

/// The same, made now if there is nothing. The slot's memory owns it.
///
/// # Safety
/// As for [`load`].
unsafe fn load_or<'a, T>(slot: &AtomicPtr<T>, make: impl FnOnce() -> Own<T>) -> &'a T {
    // SAFETY: passed on.
    if let Some(value) = unsafe { load(slot) } {
        return value;
    }
    let new = make().into_raw();
    // Release: whoever finds it finds it initialised. Acquire on failure: it is another's.
    let value =
        match slot.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire) {
            Ok(_) => new,
            Err(other) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Own::from_raw(new) });
                other
            }
        };
    // SAFETY: it was just made, or the caller says so.
    unsafe { &*value }
}

impl Place {
    /// The place of the orphans, which are always looked at.
    pub(super) const NONE: Self = Self { leaf: ptr::null(), mask: Mask::of(0) };

    #[cfg(all(test, not(any(ptfrag_loom, ptfrag_shuttle))))]
    pub(super) fn gate(&self) -> &Gate {
        // SAFETY: the leaf of a record that has an owner lives as long as it.
        unsafe { &(*self.leaf).gate }
    }

    /// Whether the record is looked at. After a full fence that follows the announcement.
    ///
    /// # Safety
    /// It is the place of a record that has an owner.
    #[inline]
    pub(super) unsafe fn is_open(&self) -> bool {
        // SAFETY: the leaf of a record that has an owner lives as long as it.
        let leaf = unsafe { &*self.leaf };
        leaf.gate.is_open(self.mask)
    }

    /// Whether it is not, for the moment.
    pub(super) fn is_closed(&self) -> bool {
        // SAFETY: null, or of the tree that the record is in.
        unsafe { self.leaf.as_ref() }.is_some_and(|leaf| leaf.gate.is_closed(self.mask))
    }

    /// Has the record looked at from the next full fence on, from below: whoever closes the leaf's place finds the
    /// record's open.
    pub(super) fn open(&self) {
        // SAFETY: null, or of the tree that the record is in.
        let Some(leaf) = (unsafe { self.leaf.as_ref() }) else { return };
        leaf.gate.open(self.mask);
        if !LOOM {
            // SAFETY: the root of a leaf lives as long as it.
            let root = unsafe { &*leaf.root };
            root.gate.open(leaf.mask);
        }
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Root::new().into_raw();
        // The first leaf is there from the beginning.
        let leaf = Own::new(Leaf::new(root, 0)).into_raw();
        // SAFETY: it was just made.
        unsafe { &*root }.leaves[0].store(leaf, Ordering::Relaxed);
        Self { root, made: AtomicUsize::new(0), parking: SpinLock::new() }
    }

    fn root(&self) -> &Root {
        // SAFETY: by the invariant.
        unsafe { &*self.root }
    }

    /// The record with that number.
    ///
    /// # Safety
    /// There is one.
    pub(super) unsafe fn get(&self, number: usize) -> &Record {
        let at = number - 1;
        let root = self.roots().nth(at / FAN / FAN).expect("the roots up to a record are there");
        // SAFETY: leaves and records live as long as the tree.
        let leaf = unsafe { load(&root.leaves[at / FAN % FAN]) };
        let leaf: &Leaf = leaf.expect("so is its leaf");
        // SAFETY: likewise.
        unsafe { load(&leaf.records[at % FAN]) }.expect("the caller says so")
    }

    /// A new record, which is not looked at before its owner's first section.
    pub(super) fn make(&self) -> &Record {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let (at, place) = (number / FAN, number % FAN);
        let mut root = self.root();
        for _ in 0..at / FAN {
            // SAFETY: roots live as long as the tree.
            root = unsafe { load_or(&root.next, Root::new) };
        }
        let at = at % FAN;
        // SAFETY: leaves live as long as the tree.
        let leaf = unsafe { load_or(&root.leaves[at], || Own::new(Leaf::new(root, at))) };
        let record = Record::owned(Place { leaf, mask: Mask::of(place) }, number + 1);
        let record = Own::new(record).into_raw();
        // Release: whoever finds it finds it initialised.
        leaf.records[place].store(record, Ordering::Release);
        // SAFETY: it was just made, and lives as long as the tree.
        unsafe { &*record }
    }

    fn roots(&self) -> impl Iterator<Item = &Root> {
        core::iter::successors(Some(self.root()), |root| root.next())
    }

    /// All records in which a section may be open. What the sections of the others did happens before the
    /// end of this.
    pub(super) fn readers(&self) -> impl Iterator<Item = &Record> {
        self.roots().flat_map(|root| {
            // SAFETY: leaves live as long as the tree. One that is not found yet has no section that began
            // before the caller's full fence, and a record neither.
            let leaves = root.gate.places().filter_map(|at| unsafe { load(&root.leaves[at]) });
            leaves.flat_map(|leaf: &Leaf| {
                // SAFETY: likewise.
                leaf.gate.places().filter_map(|place| unsafe { load(&leaf.records[place]) })
            })
        })
    }

    /// All records, parked or not.
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        // SAFETY: leaves and records live as long as the tree.
        let leaf = |slot| unsafe { load::<Leaf>(slot) };
        // SAFETY: likewise.
        let record = |slot| unsafe { load::<Record>(slot) };
        let leaves = self.roots().flat_map(move |root| root.leaves.iter().filter_map(leaf));
        leaves.flat_map(move |leaf| leaf.records.iter().filter_map(record))
    }

    /// Parks those that are idle, unless another thread is at it.
    pub(super) fn park(&self, clock: &Clock) {
        let now = clock.now();
        if !self.parking.try_lock() {
            return;
        }
        for root in self.roots() {
            // SAFETY: leaves and records live as long as the tree.
            let leaf = |at: usize| unsafe { load::<Leaf>(&root.leaves[at]) };
            for leaf in root.gate.places().filter_map(leaf) {
                // SAFETY: likewise.
                let record = |place: usize| unsafe { load::<Record>(&leaf.records[place]) };
                let seems_idle = |place| record(place).is_some_and(|record| record.seems_idle(now));
                let is_idle = |place| record(place).is_some_and(Record::is_idle);
                leaf.gate.close(leaf.gate.places().only(seems_idle), clock.fences(), is_idle);
            }
            let is_idle = |at| leaf(at).is_some_and(|leaf| leaf.gate.is_all_closed());
            if LOOM {
                continue;
            }
            // What a leaf's places are is known without the readers' fences.
            root.gate.close(root.gate.places().only(is_idle), Fences::Symmetric, is_idle);
        }
        // SAFETY: this thread locked it.
        unsafe { self.parking.unlock() };
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // SAFETY: from an `Own`, and nobody refers to it any more.
        drop(unsafe { Own::from_raw(self.root) });
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.leaves.iter().filter_map(take).for_each(drop::<Own<Leaf>>);
        drop(take(&self.next));
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        self.records.iter().filter_map(take).for_each(drop::<Own<Record>>);
    }
}

/// What the slot refers to, for the caller to free, who has it to itself.
fn take<T>(slot: &AtomicPtr<T>) -> Option<Own<T>> {
    let value = slot.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: null, or from an `Own`, and nobody refers to it any more.
    unsafe { Own::from_raw(value) }
}
