//! The threads that look tables up while these come and go.

use std::{hint::black_box, sync::atomic::Ordering, thread};

use super::{
    plan::{Place, Step},
    scene::Scene,
    stamp,
};

/// Most look-ups go to tables within so many steps of the replay's place in the trace.
const NEAR: usize = 256;

/// Once in so many walks the walker lets others run in the middle of its section.
const PAUSE_EVERY: u64 = 32;

/// After so many look-ups in vain the time is better spent by whoever puts tables there.
const PATIENCE: u64 = 64;

/// Looks tables up until the scene stops.
pub(super) fn walk<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    scene: &Scene<'_, FRAGS, SIZE, PAGE>,
    seed: u64,
) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut walks, mut misses, mut in_vain) = (0, 0, 0);
    while !scene.stop.load(Ordering::Relaxed) {
        let Some(place) = pick(scene, &mut random) else { continue };
        match look(scene, place, walks % PAUSE_EVERY == 0) {
            Ok(true) => {
                walks += 1;
                in_vain = 0;
            }
            Ok(false) => {
                misses += 1;
                in_vain += 1;
                if in_vain == PATIENCE {
                    thread::yield_now();
                    in_vain = 0;
                }
            }
            Err(what) => scene.fail(what),
        }
    }
    scene.walks.fetch_add(walks, Ordering::Relaxed);
    scene.misses.fetch_add(misses, Ordering::Relaxed);
}

/// The place of a table that is, or soon will be, or once was alive; or one beside it in the same
/// map.
fn pick<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    scene: &Scene<'_, FRAGS, SIZE, PAGE>,
    random: &mut fastrand::Rng,
) -> Option<Place> {
    let progress = scene.progress();
    let first = if random.u8(..) < 64 { 0 } else { progress.saturating_sub(NEAR) };
    let end = (progress + NEAR / 4).min(scene.plan.steps.len());
    let step = scene.plan.steps.get(random.usize(first..end.max(first + 1)))?;
    let (Step::Alloc { table } | Step::Free { table }) = *step else { return None };
    let place = scene.plan.place(table);
    let slots = scene.plan.lives[place.life].slots.len();
    Some(if random.bool() { place } else { Place { slot: random.usize(..slots), ..place } })
}

/// Looks into one slot and verifies the table there, twice. Returns whether there was one.
fn look<const FRAGS: usize, const SIZE: usize, const PAGE: usize>(
    scene: &Scene<'_, FRAGS, SIZE, PAGE>,
    place: Place,
    pause: bool,
) -> Result<bool, String> {
    let Some(entry) = scene.entry(place) else { return Ok(false) };
    // Acquire: tables below it were gone from the slot before this section begins.
    let floor = entry.floor.load(Ordering::Acquire);
    let guard = scene.domain.read();
    let Some(frag) = entry.slot.load(&guard) else { return Ok(false) };
    let chain = &scene.plan.lives[place.life].slots[place.slot];
    let mut verdict = stands(chain, floor, stamp::first(frag));
    for round in 0..2 {
        if round == 1 && pause {
            thread::yield_now();
        }
        verdict = verdict.and_then(|table| {
            // The bytes must be read anew: nothing here may be known from the first round.
            let other = stamp::check(black_box(frag), table);
            other.map(|()| table).map_err(|other| (Some(table), other))
        });
    }
    verdict.map(|_| true).map_err(|(expected, other)| {
        let expected = expected.map_or("no table".to_owned(), |table| scene.call(table));
        format!(
            "wrong stamp: expected {expected}, found {} in a fragment of page {}",
            scene.call(other),
            scene.page_word(frag),
        )
    })
}

/// Whether the table with this number may stand in a slot that `chain` uses one after the other,
/// of which those below `floor` are gone.
///
/// # Errors
/// The table that is expected there, if any is, and the number.
fn stands(chain: &[usize], floor: usize, number: u64) -> Result<u64, (Option<u64>, u64)> {
    let left = &chain[chain.partition_point(|&table| table < floor)..];
    match left.binary_search_by_key(&number, |&table| table as u64) {
        Ok(_) => Ok(number),
        Err(_) => Err((left.first().map(|&table| table as u64), number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tables_may_stand() {
        let chain = [3, 8, 20];
        assert_eq!(stands(&chain, 0, 3), Ok(3));
        assert_eq!(stands(&chain, 4, 20), Ok(20));
        // Gone before the section began.
        assert_eq!(stands(&chain, 4, 3), Err((Some(8), 3)));
        // Another slot's table, or no table at all.
        assert_eq!(stands(&chain, 9, 10), Err((Some(20), 10)));
        assert_eq!(stands(&chain, 21, u64::MAX), Err((None, u64::MAX)));
    }
}
