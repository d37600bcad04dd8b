//! The MSRP reader against samples, against a naive judge, and under every way of cutting its
//! input.

mod drive;
mod framing;
mod hostile;
mod judge;
mod properties;
mod samples;
mod worked_examples;
