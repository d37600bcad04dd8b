//! What the fuzzer has found, and what it starts from, in every ordinary test run.

mod targets;

use std::path::{Path, PathBuf};

use targets::ALL;

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn try_all(name: &str, folder: &Path) {
    let (_, target) = ALL
        .iter()
        .find(|(other, _)| *other == name)
        .expect("a target");
    let files = files_in(folder);
    assert!(!files.is_empty(), "{folder:?} is empty");
    for file in files {
        println!("{}", file.display()); // Shown when it fails: this one did.
        target(&std::fs::read(&file).expect("a readable file"));
    }
}

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, _) in ALL {
        try_all(name, &tests().join("fuzz/corpus").join(name));
    }
}

#[test]
fn samples_of_msrp_are_read_alike_by_reader_and_judge() {
    for folder in ["samples/msrp/good", "samples/msrp/bad"] {
        try_all("msrp", &tests().join(folder));
    }
}
