//! Random schedules of scenes that are too large to be explored exhaustively. [`support`] says how
//! they run, and how a failure is replayed.

mod batches;
mod churn;
mod exhaustion;
mod hook;
mod leavers;
mod nested;
mod replay;
mod sleeper;
mod stopped;
mod support;
mod teardown;
