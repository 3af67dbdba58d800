//! The files of `golden/`: `NAME.env`, the settings of a case, and `NAME.yaml`, what is rendered of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where they are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Names of the cases: the files with this extension.
pub(crate) fn cases(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(directory()).expect("the folder is there");
    files
        .map(|file| file.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let stem = path.file_stem().expect("a file has a name");
            stem.to_str().expect("names are UTF-8").to_owned()
        })
        .collect()
}

/// The content of one of them.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The settings of a case.
pub(crate) fn settings(case: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut last = String::new();
    for line in read(&format!("{case}.env")).lines() {
        if let Some(more) = line.strip_prefix("  ") {
            let value: &mut String = settings.get_mut(&last).expect("a line to go on with");
            value.push('\n');
            value.push_str(more);
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, value) = line.split_once('=').expect("NAME=value");
            name.clone_into(&mut last);
            settings.insert(last.clone(), value.to_owned());
        }
    }
    settings
}
