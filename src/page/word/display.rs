//! The page word as a person reads it.

use core::fmt;

use super::Word;
use crate::page::mask::Mask;

/// One letter per fragment, fragment 0 first (`F`ree, `P`ending, ne`X`t, `U`sed; `?` where two
/// sets overlap), then what holds of the page: `UUPXFFFF listed host=7`.
impl<const N: usize> fmt::Display for Word<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_live() {
            return match self.0 {
                0 => f.write_str("at its source"),
                bits => write!(f, "not live {bits:#018x}"),
            };
        }
        for index in 0..N {
            let one = Mask::single(index);
            let is_in = |set: Mask| set.contains(one);
            f.write_str(match (is_in(self.free()), is_in(self.pending()), is_in(self.next())) {
                (false, false, false) => "U",
                (true, false, false) => "F",
                (false, true, false) => "P",
                (false, false, true) => "X",
                _ => "?",
            })?;
        }
        if let Some(host) = self.host() {
            let list = if self.is_shown() { "listed" } else { "quiet" };
            write!(f, " {list} host={host}")?;
        }
        if self.lane() != 0 {
            write!(f, " lane={}", self.lane())?;
        }
        if self.is_hooked() {
            f.write_str(" hooked")?;
        }
        if !self.is_legal() {
            write!(f, " illegal {:#018x}", self.0)?;
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Word<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({self})")
    }
}
