//! RCUs of others.

#[cfg(feature = "crossbeam-epoch")]
mod epoch;

#[cfg(feature = "crossbeam-epoch")]
pub use self::epoch::Epoch;
