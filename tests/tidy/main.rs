//! The rules of the house, as tests.
//!
//! Each file holds one rule: a table or a list, a `check` that takes a [`tree::Tree`] and returns
//! findings, the test that runs it on this repository, and small made-up trees that show it failing.
//! A finding names file and line, and says what to do.

mod dead_files;
mod imports;
mod leftovers;
mod links;
mod manifests;
mod runner;
mod rust;
mod sizes;
mod tree;
mod unsafe_code;
mod words;
