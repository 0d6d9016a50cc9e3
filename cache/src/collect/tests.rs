//! Tests of what is removed and what stays, with ages that a test cannot wait for.

use std::{fs::File, sync::Arc};

use super::*;
use crate::{lock::LockedFile, preimage::Key};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Everything that was not used for a second.
const EVERYTHING: Collect = Collect { older_than: Duration::ZERO, replies: true, dry: false };

struct Scratch {
    store: Arc<Store>,
    _folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Store::open(folder.path()).unwrap(), _folder: folder }
    }

    /// Writes an entry as if it had been written `age` seconds ago.
    fn entry(&self, table: Table, name: &str, content: &impl Serialize, age: u64) -> Digest {
        let key = Digest::of(name.as_bytes());
        let json = serde_json::to_vec(content).unwrap();
        let entry = value::encode(table, &key, &json, now() - age, &self.store.blobs).unwrap();
        self.store.memo.change(&[(table, key, entry)], &[]).unwrap();
        key
    }

    /// Stores a blob that was last used `age` seconds ago.
    fn blob(&self, bytes: &[u8], age: u64) -> Output {
        let digest = self.store.blobs.put(bytes).unwrap();
        let file = File::open(self.store.blobs.find(&digest).unwrap().path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        Output { digest, artifact: "file".into(), rows: None, bytes: bytes.len() as u64, tree: false }
    }

    /// Stores a result with one blob, both `age` seconds old.
    fn result(&self, name: &str, age: u64) -> Digest {
        let outputs = [("o".to_owned(), self.blob(name.as_bytes(), age))].into();
        self.entry(Table::Results, name, &StageResult { outputs, seconds: 0.0, calls: 0, run: "r".into() }, age)
    }

    fn has(&self, table: Table, name: &str) -> bool {
        self.store.memo.get(table, &Digest::of(name.as_bytes())).unwrap().is_some()
    }

    fn has_blob(&self, bytes: &[u8]) -> bool {
        self.store.blobs.find(&Digest::of(bytes)).is_some()
    }

    /// Pretends that another process opened the cache `age` seconds ago, until the lock is dropped.
    fn other(&self, age: u64) -> LockedFile {
        let name = format!("other-host-7-{}", (now() - age) * 1000);
        LockedFile::attempt(&self.store.blobs.folder.owner(&name)).unwrap().unwrap()
    }
}

#[test]
fn what_another_process_has_used_since_it_started_stays() {
    let scratch = Scratch::new();
    scratch.result("unused", 60 * DAY);
    let used = scratch.result("used", 60 * DAY);
    scratch.entry(Table::Uses, "used", &(), 2 * HOUR);
    scratch.result("recorded", 2 * HOUR);
    let partial = |bytes: &[u8], age| Partial { step: 1, output: scratch.blob(bytes, age) };
    scratch.entry(Table::Partials, "left behind", &partial(b"left behind", 9 * HOUR), 9 * HOUR);
    scratch.entry(Table::Partials, "training", &partial(b"training", 2 * HOUR), 2 * HOUR);
    scratch.entry(Table::Replies, "reply", &"paid for", 60 * DAY);
    // An input, or an output of a stage that is not done.
    scratch.blob(b"of the run", 2 * HOUR);
    scratch.blob(b"of nobody", 4 * HOUR);

    let other = scratch.other(3 * HOUR);
    let would = collect(&scratch.store, Collect { dry: true, ..EVERYTHING }).unwrap();
    let collected = collect(&scratch.store, EVERYTHING).unwrap();
    assert_eq!(collected, would);
    assert_eq!((collected.results, collected.partials, collected.replies, collected.blobs), (1, 1, 0, 3));
    let left = collected.left;
    assert_eq!((left.results, left.replies, left.young_blobs, left.processes), (2, 1, 1, 1));
    assert!(left.oldest_use.unwrap().abs_diff(now() - 2 * HOUR) < 60);
    assert!(!scratch.has(Table::Results, "unused") && !scratch.has_blob(b"unused") && !scratch.has_blob(b"of nobody"));
    for name in ["used", "recorded"] {
        assert!(scratch.has(Table::Results, name) && scratch.has_blob(name.as_bytes()), "{name}");
    }
    assert!(scratch.has(Table::Partials, "training") && scratch.has_blob(b"training") && scratch.has_blob(b"of the run"));
    assert!(scratch.has(Table::Replies, "reply"));

    drop(other);
    let collected = collect(&scratch.store, EVERYTHING).unwrap();
    assert_eq!((collected.results, collected.partials, collected.replies, collected.blobs), (2, 1, 1, 4));
    assert_eq!(collected.left, Left::default());
    assert!(!scratch.has(Table::Uses, "used"), "a use goes with its result: {used}");
}

#[test]
fn a_result_that_comes_into_use_while_it_is_collected_stays() {
    let scratch = Scratch::new();
    let month = Collect { older_than: Duration::from_secs(30 * DAY), ..EVERYTHING };
    let candidates = [(Table::Results, scratch.result("used", 60 * DAY)), (Table::Results, scratch.result("unused", 60 * DAY))];
    // What a run does for which it is a hit, after it was found to be old.
    scratch.entry(Table::Uses, "used", &(), 0);
    let (gone, _) = delete(&scratch.store, month, &candidates).unwrap();
    assert_eq!(gone, candidates[1..]);
    assert!(scratch.has(Table::Results, "used") && !scratch.has(Table::Results, "unused"));
}

#[test]
fn a_use_is_noted_before_a_result_is_relied_on() {
    let scratch = Scratch::new();
    let cache = crate::Cache::open(&scratch.store.blobs.folder.root, crate::Mode::ReadWrite).unwrap();
    let key: Key = scratch.result("used", 60 * DAY).to_string().parse().unwrap();
    assert!(cache.used(&[(key, "manifest", "stage")]).unwrap());
    let month = Collect { older_than: Duration::from_secs(30 * DAY), ..EVERYTHING };
    assert_eq!(collect(&scratch.store, month).unwrap().results, 0);
    cache.forget(&key).unwrap();
    assert!(!cache.used(&[(key, "manifest", "stage")]).unwrap(), "it is gone, and the caller is told");
}

#[test]
fn a_blob_that_comes_into_use_while_it_is_collected_stays() {
    let scratch = Scratch::new();
    let limit = SystemTime::now() - Duration::from_secs(HOUR);
    for used in [true, false] {
        let digest = scratch.blob(b"blob", 2 * HOUR).digest;
        let found = scratch.store.blobs.find(&digest).unwrap();
        if used {
            assert!(crate::blobs::Blobs::touch(&found));
        }
        assert_eq!(scratch.store.blobs.remove_unused(&found, limit).unwrap(), !used);
        assert_eq!(scratch.has_blob(b"blob"), used);
        assert_eq!(crate::blobs::Blobs::touch(&found), used, "who uses a blob that is gone is told");
    }
}

#[test]
fn a_job_is_remembered_for_as_long_as_a_provider_keeps_its_replies() {
    let scratch = Scratch::new();
    scratch.entry(Table::Submitted, "old", &"job", 31 * DAY);
    scratch.entry(Table::Submitted, "recent", &"job", 29 * DAY);
    collect(&scratch.store, EVERYTHING).unwrap();
    assert!(!scratch.has(Table::Submitted, "old") && scratch.has(Table::Submitted, "recent"));
}

#[test]
fn what_was_damaged_goes() {
    let scratch = Scratch::new();
    std::fs::write(scratch.store.blobs.folder.damaged().join("blob"), "garbage").unwrap();
    let would = collect(&scratch.store, Collect { dry: true, ..EVERYTHING }).unwrap();
    assert_eq!((would.damaged, would.bytes), (1, 7));
    assert_eq!(collect(&scratch.store, EVERYTHING).unwrap(), would);
    assert!(collect(&scratch.store, EVERYTHING).unwrap().is_empty());
}
