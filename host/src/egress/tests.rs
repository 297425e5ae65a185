//! Calls against small servers of this test.
