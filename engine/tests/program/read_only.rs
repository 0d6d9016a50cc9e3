//! A cache that can only be read, as of a colleague.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{cache::FOLDER, place::Place};

/// Takes the right to write from a folder, until it is dropped. To root every folder can be written, so that it is mounted read-only.
struct ReadOnly {
    folder: PathBuf,
    mounted: bool,
}

impl ReadOnly {
    fn make(folder: PathBuf) -> Option<Self> {
        rights(&folder, 0o400, 0o500);
        if std::fs::write(folder.join("x"), "").is_err() {
            return Some(Self { folder, mounted: false });
        }
        std::fs::remove_file(folder.join("x")).unwrap();
        let here = folder.to_str().unwrap();
        let mount = |words: &[&str]| Command::new("mount").args(words).output().is_ok_and(|ended| ended.status.success());
        let made = Self { mounted: mount(&["--bind", here, here]), folder: folder.clone() };
        let read_only = made.mounted && mount(&["-o", "remount,bind,ro", here]);
        if !read_only {
            #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
            {
                eprintln!("skipped: no folder can be made read-only here");
            }
        }
        read_only.then_some(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if self.mounted {
            drop(Command::new("umount").arg("-l").arg(&self.folder).output());
        }
        rights(&self.folder, 0o600, 0o700);
    }
}

/// Gives all files of a folder, and all folders, the same rights.
fn rights(path: &Path, file: u32, folder: u32) {
    let is_folder = path.is_dir();
    let mode = Permissions::from_mode(if is_folder { folder } else { file });
    if is_folder && folder & 0o200 != 0 {
        std::fs::set_permissions(path, mode.clone()).unwrap();
    }
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        rights(&entry.unwrap().path(), file, folder);
    }
    std::fs::set_permissions(path, mode).unwrap();
}

#[test]
fn a_cache_that_can_only_be_read_is_read() {
    let place = Place::new();
    place.run(&[]);
    place.calls();
    let rows = place.rows("shouts");
    let Some(_read_only) = ReadOnly::make(place.path(FOLDER)) else { return };
    assert_eq!(place.rows("shouts"), rows);
    assert!(place.call(&["plan", "words.yaml"]).with(0).out.contains("3 cached, 0 to run"));
    assert!(place.call(&["why", "words.yaml", "tally"]).with(0).out.contains("does not run"));
    place.call(&["export", "words.yaml", "words.lines", "rows.jsonl"]).with(0);
    assert_eq!(place.run(&[]).stages("stage_cached"), ["shouts", "tally", "words"]);
    assert!(place.call(&["cache", "stats"]).with(0).out.starts_with("3 results, 2 replies, 4 blobs"));
    place.call(&["cache", "verify"]).with(0);
    place.call(&["cache", "collect", "--days", "0"]).with(0);

    // What is new is refused before anything is bought, or computed and not kept.
    place.write("words.txt", "one\ntwo\nthree\n");
    assert!(place.call(&["plan", "words.yaml"]).with(0).out.contains("0 cached, 1 to run"));
    let refused = place.call(&["run", "words.yaml", "--budget", "10"]).with(4);
    assert!(refused.err.contains("is read-only") && refused.err.contains("--cache-mode read"), "{}", refused.err);
    place.call(&["cache", "collect", "--days", "0", "--yes"]).with(4);
    place.write("replies.jsonl", "");
    place.call(&["cache", "import", "replies.jsonl"]).with(4);
    assert!(place.calls().is_empty());
    let read = place.run(&["--cache-mode", "read"]);
    assert_eq!(read.ran(), ["shouts", "tally", "words"]);
    assert_eq!(place.calls(), ["loud three"]);
    assert_eq!(place.run(&["--cache-mode", "read"]).ran(), ["shouts", "tally", "words"], "nothing was kept");
}
