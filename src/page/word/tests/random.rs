//! Pages of 16, of which there are too many words to try all: random legal words, every transition,
//! random masks, against the same reference.

use std::vec::Vec;

use proptest::{prelude::*, sample::Index};

use super::{Free, Mask, Next, Pending, State, Used, Word, close, give_back, grace_over};
use super::{retire, take};

const N: usize = 16;

/// Where a page stands.
#[derive(Clone, Copy, Debug)]
enum Stand {
    /// On no list; with something free, its mm was closed.
    Unlisted,
    /// Listed, if anything is free, with one of the free fragments as host.
    Listed(Index),
}

/// Fragments in a few of the four states, so that pages all of one kind come up as well.
fn states() -> impl Strategy<Value = Vec<State>> {
    prop::sample::subsequence(&[Used, Free, Pending, Next][..], 1..=4)
        .prop_flat_map(|palette| prop::collection::vec(prop::sample::select(palette), N))
}

fn stands() -> impl Strategy<Value = Stand> {
    prop_oneof![Just(Stand::Unlisted), any::<Index>().prop_map(Stand::Listed),]
}

/// A legal word, bit by bit as the table on the type has them.
fn word(states: &[State], stand: Stand, shown: bool, hooked: bool) -> Word<N> {
    let all = |state| (0..N).filter(|&i| states[i] == state).collect::<Vec<_>>();
    let bits = |state| all(state).iter().fold(0_u64, |bits, i| bits | 1 << i);
    let free = all(Free);
    // Nothing waits for the next grace period unless one is in flight.
    let (pending, next) =
        if bits(Pending) == 0 { (bits(Next), 0) } else { (bits(Pending), bits(Next)) };
    let flags = match stand {
        Stand::Listed(host) if !free.is_empty() => 1 << 52 | (*host.get(&free) as u64) << 48,
        _ => 0,
    };
    let hooked = u64::from(hooked && pending != 0);
    let flags = flags | u64::from(shown) << 53 | hooked << 55;
    Word::from_bits(1 << 54 | flags | next << 32 | pending << 16 | bits(Free))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        // A failure prints the word and the mask, which is all there is to it.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pages_of_16(
        states in states(),
        stand in stands(),
        [shown, hooked] in any::<[bool; 2]>(),
        bits in any::<u16>(),
    ) {
        let word = word(&states, stand, shown, hooked);
        prop_assert!(word.is_legal(), "{word}");
        take(word);
        grace_over(word);
        close(word);
        // Any mask is seldom one that may be freed; part of what is used is, and all of it.
        let used = word.used();
        let any = Mask::from_bits(bits);
        for mask in [any, any & used, used] {
            retire(word, mask);
            give_back(word, mask);
        }
    }
}
