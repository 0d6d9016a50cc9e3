//! Disks that are full, and caches that cannot be written. A small file system is mounted for most tests, which only root may do.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it measured, and fails by panicking")]
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use cache::{Blame, Cache, CacheError, Claim, Collect, Digest, Mode, Output, Preimage, StageResult};

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
    let helps = error.help().is_some_and(|help| help.contains("--cache"));
    error.blame() == Blame::Environment && error.to_string().contains("No space left on device") && helps
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

/// Makes a cache with a result and a reply, and gives its folder.
async fn filled(folder: &Path) -> (Preimage, StageResult) {
    let cache = Cache::open(folder, Mode::ReadWrite).unwrap();
    let none = BTreeMap::new();
    let preimage =
        Preimage { kind: "label".into(), version: 1, parts: none, params: serde_json::Value::Null, inputs: BTreeMap::new() };
    let digest = cache.put(b"rows").unwrap();
    let output = Output { digest, artifact: "dataset<label>".into(), rows: Some(1), bytes: 4, tree: false };
    let result = StageResult { outputs: [("o".into(), output)].into(), seconds: 1.0, calls: 0, run: "run".into() };
    cache.record(&preimage, &result, "manifest", "stage").unwrap();
    cache.keep(Digest::of(b"unit"), b"reply".to_vec(), None).await.unwrap();
    cache.pin("model", "first").unwrap();
    (preimage, result)
}

/// What a cache that cannot be written gives, and what it refuses.
async fn is_read(folder: &Path, (preimage, result): &(Preimage, StageResult)) {
    let key = preimage.key();
    let cache = Cache::open(folder, Mode::ReadWrite).unwrap();
    assert_eq!(cache.folder(), folder.canonicalize().unwrap());
    assert_eq!(cache.result(&key).unwrap().as_ref(), Some(result));
    assert_eq!(cache.preimage(&key).unwrap().as_ref(), Some(preimage));
    assert_eq!(cache.last("manifest", "stage").unwrap(), Some(key));
    assert_eq!(cache.reply(&Digest::of(b"unit")).unwrap().unwrap(), b"reply");
    assert_eq!(cache.read(&Digest::of(b"rows")).unwrap(), b"rows");
    assert_eq!(cache.verify().unwrap(), []);
    assert_eq!((cache.stats().unwrap().results, cache.stats().unwrap().blobs), (1, 1));
    assert_eq!(cache.pin("model", "second").unwrap(), "first");
    assert!(cache.used(&[(key, "manifest", "other")]).unwrap());
    let would = cache.collect(Collect { dry: true, ..Collect::default() }).unwrap();
    assert_eq!((would.results, would.left.replies), (1, 1));

    let refusals = [
        cache.check_writable(),
        cache.record(preimage, result, "manifest", "stage"),
        cache.keep(Digest::of(b"other"), b"reply".to_vec(), None).await,
        cache.adopt(vec![]).map(drop),
        cache.forget(&key),
        cache.collect(Collect::default()).map(drop),
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        assert!(matches!(error, CacheError::ReadOnly { .. }), "{error}");
        assert_eq!(error.blame(), Blame::Environment);
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
        assert!(error.help().unwrap().contains("--cache"), "{error}");
    }
    // A run that keeps nothing still passes blobs from stage to stage.
    let reader = Cache::open(folder, Mode::Read).unwrap();
    reader.check_writable().unwrap();
    let digest = reader.put(b"of a stage").unwrap();
    assert_eq!(reader.read(&digest).unwrap(), b"of a stage");
    reader.record(preimage, result, "manifest", "other").unwrap();
    assert_eq!(reader.claim(vec![Digest::of(b"new")]).await.unwrap(), [Claim::Ours]);
    drop((cache, reader));
    let cache = Cache::open(folder, Mode::Read).unwrap();
    assert!(!cache.contains(&digest), "what was stored is gone with it");
}

#[tokio::test]
async fn a_cache_on_a_disk_that_is_read_only_is_read() {
    let Some(disk) = Disk::mount(4) else { return };
    let folder = disk.point.join("cache");
    let made = filled(&folder).await;
    // A copy may have left out what is empty.
    for empty in ["locks", "owners", "tmp", "damaged"] {
        std::fs::remove_dir(folder.join(empty)).unwrap();
    }
    assert!(run("mount", &["-o", "remount,ro"], &disk.point));
    is_read(&folder, &made).await;
    let error = Cache::open(&disk.point.join("other"), Mode::Read).err().unwrap();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    assert!(error.help().unwrap().contains("--cache"), "{error}");
    assert_eq!(error.blame(), Blame::Environment);
}

#[tokio::test]
async fn a_cache_of_another_user_is_read() {
    fn mode(path: &Path, file: u32, folder: u32) {
        let is_folder = path.is_dir();
        if is_folder && folder & 0o200 != 0 {
            std::fs::set_permissions(path, Permissions::from_mode(folder)).unwrap();
        }
        for entry in std::fs::read_dir(path).into_iter().flatten() {
            mode(&entry.unwrap().path(), file, folder);
        }
        std::fs::set_permissions(path, Permissions::from_mode(if is_folder { folder } else { file })).unwrap();
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("cache");
    let made = filled(&folder).await;
    mode(&folder, 0o400, 0o500);
    if std::fs::write(folder.join("x"), "").is_ok() {
        eprintln!("skipped: to root, every folder can be written");
        return;
    }
    is_read(&folder, &made).await;
    mode(&folder, 0o600, 0o700);
}
