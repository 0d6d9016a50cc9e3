//! Disks that are full: blamed on the machine wherever it happens. A small file system is mounted, which only root may do.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{place::Place, training};

const ROWS: &str = "version: 1\nstages:\n  q: { uses: benchmark, with: { name: arithmetic, count: 500 } }\n";

/// A file system of some kilobytes, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn mount(point: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir(point).unwrap();
        let size = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(point).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a file system can be mounted by root alone");
        }
        mounted.then(|| Self(point.to_owned()))
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut size = 1 << 20;
        for number in 0.. {
            while size > 0 && fs::write(self.0.join(format!("fill{number}")), vec![1; size]).is_err() {
                size /= 2;
            }
            if size == 0 {
                return;
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn blamed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("No space left on device") && !said.contains("panicked"), "{said}");
    said
}

#[test]
fn standard_output_that_is_full_is_said_and_one_that_is_closed_is_not() {
    let place = Place::new();
    fs::write(place.path("m.yaml"), ROWS).unwrap();
    place.good(&["run", "m.yaml"]);
    for words in
        [&["show", "m.yaml", "q"][..], &["plan", "m.yaml"], &["kinds"], &["cache"], &["export", "m.yaml", "q.questions", "-"]]
    {
        let output = place.command(words).stdout(File::create("/dev/full").unwrap()).output().unwrap();
        assert!(blamed(&output).contains("standard output cannot be written"), "{words:?}");
    }
    let mut show = place.command(&["show", "m.yaml", "q"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(show.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = show.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_training_whose_checkpoints_find_no_room_is_blamed_on_the_disk_and_goes_on_later() {
    let place = Place::new();
    training::write(&place);
    let Some(disk) = Disk::mount(&place.path("small"), 300) else { return };
    // The room for scratch files ends first, then the room of the cache.
    blamed(&place.command(&["run", "training.yaml"]).env("TMPDIR", &disk.0).output().unwrap());
    let mut cached = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    cached.args(["run", "training.yaml", "--cache"]).arg(disk.0.join("cache")).arg("--runs").arg(place.path("runs"));
    let said = blamed(&cached.current_dir(place.folder.path()).output().unwrap());
    assert!(said.contains("checkpoint cannot be kept"), "{said}");
    place.good(&["run", "training.yaml"]);
}

#[test]
fn exports_and_records_that_find_no_room_say_so_and_leave_what_was_there() {
    let place = Place::new();
    fs::write(place.path("m.yaml"), ROWS).unwrap();
    place.good(&["run", "m.yaml"]);
    let Some(disk) = Disk::mount(&place.path("small"), 64) else { return };
    fs::write(disk.0.join("rows.jsonl"), "mine").unwrap();
    let said = blamed(&place.call(&["export", "m.yaml", "q.questions", "small/rows.jsonl", "--force"]));
    assert!(!said.contains("--cache"), "{said}");
    assert_eq!(fs::read_to_string(disk.0.join("rows.jsonl")).unwrap(), "mine");
    blamed(&place.call(&["export", "m.yaml", "q", "small/out"]));
    let left: Vec<_> = fs::read_dir(&disk.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["rows.jsonl"]);

    // Room for the record's first files, and none for its events.
    drop(disk);
    let Some(disk) = Disk::mount(&place.path("tiny"), 8) else { return };
    let mut run = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    run.args(["run", "m.yaml", "--runs", "tiny", "--cache"]).arg(place.path("cache")).current_dir(place.folder.path());
    let said = blamed(&run.output().unwrap());
    assert!(said.contains("the record `tiny/") && said.contains("is incomplete"), "{said}");
    disk.fill();
    blamed(&run.output().unwrap());
    blamed(&place.call(&["init", "tiny/new"]));
}
