//! Disks that are full or cannot be written. A small file system is mounted for each test, which only root may do.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it measured, and fails by panicking")]
#![cfg(target_os = "linux")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use cache::{Blame, Cache, CacheError, Digest, Mode};

/// A file system of a few megabytes, unmounted when dropped.
struct Disk {
    point: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Disk {
    fn mount(megabytes: u32) -> Option<Self> {
        let scratch = tempfile::tempdir().unwrap();
        let point = scratch.path().join("disk");
        std::fs::create_dir(&point).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], &point);
        if !mounted {
            eprintln!("skipped: a file system can be mounted by root alone");
        }
        mounted.then_some(Self { point, _scratch: scratch })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.point);
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

/// Bytes that do not pack.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|i| *Digest::of(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).as_bytes()).take(length).collect()
}

fn is_about_space(error: &CacheError) -> bool {
    let message = error.to_string();
    error.blame() == Blame::Environment && message.contains("No space left on device") && message.contains("--cache")
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_kept_is_lost() {
    let Some(disk) = Disk::mount(4) else { return };
    let filler = disk.point.join("filler");
    std::fs::write(&filler, noise(0, 1 << 20)).unwrap();
    let cache = Cache::open(&disk.point.join("cache"), Mode::ReadWrite).unwrap();
    let blob = cache.put(b"stored before").unwrap();
    let mut kept = 0;
    let error = loop {
        match cache.keep(Digest::of(&noise(kept, 8)), noise(kept, 8000), None).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "the disk never filled");
    };
    assert!(is_about_space(&error), "{error}");
    assert!(kept > 50, "{kept}");
    let error = cache.put(&noise(1, 1 << 20)).unwrap_err();
    assert!(is_about_space(&error), "{error}");

    let all_there = |cache: &Cache| {
        for number in 0..kept {
            assert_eq!(cache.reply(&Digest::of(&noise(number, 8))).unwrap(), Some(noise(number, 8000)));
        }
        assert_eq!(cache.read(&blob).unwrap(), b"stored before");
    };
    all_there(&cache);
    std::fs::remove_file(filler).unwrap();
    cache.keep(Digest::of(b"later"), b"reply".to_vec(), None).await.unwrap();
    drop(cache);
    let cache = Cache::open(&disk.point.join("cache"), Mode::ReadWrite).unwrap();
    all_there(&cache);
    assert_eq!(cache.verify().unwrap(), []);
}

#[test]
fn a_disk_that_is_read_only_is_refused_with_a_way_out() {
    let Some(disk) = Disk::mount(4) else { return };
    let folder = disk.point.join("cache");
    drop(Cache::open(&folder, Mode::ReadWrite).unwrap());
    assert!(run("mount", &["-o", "remount,ro"], &disk.point));
    let error = Cache::open(&folder, Mode::ReadWrite).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("Read-only file system") && message.contains("--cache"), "{message}");
    assert_eq!(error.blame(), Blame::Environment);
}
