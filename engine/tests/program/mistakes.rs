//! Each manifest in `tests/mistakes` is refused with the report that stands beside it; `UPDATE=1` writes the reports anew.

use std::path::PathBuf;

use crate::place::{Place, ended};

fn manifests() -> Vec<PathBuf> {
    let mut manifests: Vec<_> = std::fs::read_dir("tests/mistakes").unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    manifests.sort();
    manifests
}

#[test]
fn every_mistake_has_its_report() {
    let (place, manifests) = (Place::new(), manifests());
    let mut stale = Vec::new();
    for manifest in &manifests {
        let name = manifest.to_str().unwrap();
        let mut command = place.command(&["run", name], 0);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env("COLUMNS", "100");
        command.arg("--cache").arg(place.path("cache")).arg("--runs").arg(place.path("runs"));
        let report = ended(command.spawn().unwrap()).with(2).err;
        let expected = manifest.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &report).unwrap();
        }
        if std::fs::read_to_string(&expected).ok().as_ref() != Some(&report) {
            stale.push(format!("{name}\n{report}"));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
    assert!(manifests.len() >= 28, "{manifests:?}");
    assert!(!place.path("cache").exists() && !place.path("runs").exists(), "nothing ran");
}
