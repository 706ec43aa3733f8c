//! What C has to know of page descriptors.

use ptfrag::PageDesc;

/// Bytes of a page descriptor.
pub const PTFRAG_DESC_SIZE: usize = 40;

/// Bytes to whose multiple a page descriptor is aligned.
pub const PTFRAG_DESC_ALIGN: usize = 8;

// On machines of 32 bits a descriptor is smaller.
const _: () = assert!(size_of::<usize>() != 8 || PTFRAG_DESC_SIZE == PageDesc::SIZE);
const _: () = assert!(PTFRAG_DESC_SIZE >= PageDesc::SIZE);
const _: () = assert!(PTFRAG_DESC_ALIGN % PageDesc::ALIGN == 0);
const _: () = assert!(PTFRAG_DESC_SIZE % PTFRAG_DESC_ALIGN == 0);
