//! Stamps: a table's number, written through its whole fragment.

/// Bytes of one copy of the number.
const WORD: usize = size_of::<u64>();

/// Fills `frag` with the stamp of `table`.
pub(crate) fn write(frag: &mut [u8], table: usize) {
    for word in frag.chunks_exact_mut(WORD) {
        word.copy_from_slice(&(table as u64).to_le_bytes());
    }
}

/// The first copy of the number.
pub(crate) fn first(frag: &[u8]) -> u64 {
    number(&frag[..WORD])
}

/// Whether all of `frag` bears the stamp of `table`.
///
/// # Errors
/// The first other number that stands in it.
pub(crate) fn check(frag: &[u8], table: u64) -> Result<(), u64> {
    match frag.chunks_exact(WORD).map(number).find(|&other| other != table) {
        Some(other) => Err(other),
        None => Ok(()),
    }
}

fn number(word: &[u8]) -> u64 {
    word.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_stamp() {
        for len in [256, 1024, 16384] {
            let mut frag = vec![0xaa; len];
            write(&mut frag, 0x0102_0304);
            assert_eq!(first(&frag), 0x0102_0304);
            assert_eq!(check(&frag, 0x0102_0304), Ok(()));
        }
    }

    #[test]
    fn every_corrupted_byte_shows() {
        let mut frag = [0; 256];
        write(&mut frag, 7);
        for at in 0..frag.len() {
            frag[at] ^= 0x10;
            assert_eq!(check(&frag, 7), Err(7 ^ (0x10 << (8 * (at % 8)))));
            frag[at] ^= 0x10;
        }
    }

    #[test]
    fn another_tables_stamp() {
        let mut frag = [0; 256];
        write(&mut frag, 7);
        // The next owner of the fragment has just begun to write, at either end.
        write(&mut frag[248..], 9);
        assert_eq!(check(&frag, 7), Err(9));
        write(&mut frag[..128], 9);
        assert_eq!((first(&frag), check(&frag, 9)), (9, Err(7)));
    }
}
