//! Many processes on one KB: adding, removing, reading and dying at random, each result held against
//! the history of what was committed.

mod batches;
#[cfg(feature = "fault-points")]
mod crowd;
#[cfg(feature = "fault-points")]
mod figures;
#[cfg(feature = "fault-points")]
mod history;
