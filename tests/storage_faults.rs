//! Faults of single operations. Goal: whichever operation of a mutation fails, once or for good, or
//! is the last one before a kill, the KB is as before or as after it, and the next command goes on.
//! Method: N counts up, through the seam of the host and over the system calls of the whole
//! process, until a run gets by without meeting its fault; after each run another command follows,
//! and the KB is compared with clean runs.

mod kernel;
mod scenario;
mod seam;
