//! Results of stages: what is remembered, what is not, and what goes when garbage is collected.
#![expect(clippy::unwrap_used, reason = "a test says what it measured, and fails by panicking")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache::{Cache, CacheError, Collect, Damage, Digest, Mode, Output, Partial, Preimage, StageResult, Tree, TreeEntry};
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);

fn open(mode: Mode) -> (tempfile::TempDir, Arc<Cache>) {
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::open(&scratch.path().join("cache"), mode).unwrap();
    (scratch, cache)
}

fn preimage(seed: u32) -> Preimage {
    Preimage {
        kind: "label".into(),
        version: 1,
        parts: BTreeMap::new(),
        params: json!({ "seed": seed }),
        inputs: BTreeMap::from([("verdicts".into(), Digest::of(b"verdicts"))]),
    }
}

fn dataset(cache: &Cache, bytes: &[u8]) -> Output {
    let digest = cache.put(bytes).unwrap();
    Output { digest, artifact: "dataset<label>".into(), rows: Some(1), bytes: bytes.len() as u64, tree: false }
}

fn checkpoint(cache: &Cache, files: &[(&str, &[u8])]) -> Output {
    let entry = |bytes: &[u8]| TreeEntry { digest: cache.put(bytes).unwrap(), bytes: bytes.len() as u64 };
    let tree = Tree { files: files.iter().map(|(name, bytes)| ((*name).to_owned(), entry(bytes))).collect() };
    let digest = cache.put_tree(&tree).unwrap();
    Output { digest, artifact: "checkpoint".into(), rows: None, bytes: tree.bytes(), tree: true }
}

fn result(outputs: &[(&str, Output)]) -> StageResult {
    let outputs = outputs.iter().map(|(port, output)| ((*port).to_owned(), output.clone())).collect();
    StageResult { outputs, seconds: 1.5, calls: 3, run: "calm-otter".into() }
}

/// Where a blob lies, found by its name.
fn blob(cache: &Cache, digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    let plain = cache.folder().join("blobs").join(&text[..2]).join(&text[2..]);
    if plain.exists() { plain } else { plain.with_extension("zst") }
}

/// Makes every blob two hours old.
fn age(cache: &Cache) {
    for fan in fs::read_dir(cache.folder().join("blobs")).unwrap() {
        for file in fs::read_dir(fan.unwrap().path()).unwrap() {
            let before = SystemTime::now() - Duration::from_hours(2);
            File::open(file.unwrap().path()).unwrap().set_modified(before).unwrap();
        }
    }
}

/// Changes bytes of the closed memo's file wherever they stand.
fn damage_memo(folder: &Path, marker: &[u8]) {
    let file = folder.join("memo/data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let places: Vec<usize> = (0..bytes.len() - marker.len()).filter(|at| bytes[*at..].starts_with(marker)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_result_is_found_again_by_its_key() {
    let (scratch, cache) = open(Mode::ReadWrite);
    let result = result(&[("labels", dataset(&cache, b"rows"))]);
    let key = preimage(1).key();
    assert_eq!(cache.result(&key).unwrap(), None);
    assert_eq!(cache.last("quickstart", "labels").unwrap(), None);
    cache.record(&preimage(1), &result, "quickstart", "labels").unwrap();
    drop(cache);

    let cache = Cache::open(&scratch.path().join("cache"), Mode::ReadWrite).unwrap();
    assert_eq!(cache.result(&key).unwrap(), Some(result));
    assert_eq!(cache.preimage(&key).unwrap(), Some(preimage(1)));
    assert_eq!(cache.last("quickstart", "labels").unwrap(), Some(key));
    assert_eq!(cache.last("quickstart", "label").unwrap(), None);
    assert_eq!(cache.last("quickstartl", "abels").unwrap(), None);
    cache.forget(&key).unwrap();
    assert_eq!(cache.result(&key).unwrap(), None);
    assert_eq!(cache.preimage(&key).unwrap(), Some(preimage(1)), "a forgotten result still says what it was made from");
}

#[test]
fn a_hit_becomes_the_stage_s_last() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let result = result(&[]);
    cache.record(&preimage(1), &result, "quickstart", "labels").unwrap();
    cache.record(&preimage(2), &result, "quickstart", "labels").unwrap();
    let (first, second) = (preimage(1).key(), preimage(2).key());
    cache.used(&[(first, "quickstart", "labels"), (second, "other", "labels")]).unwrap();
    assert_eq!(cache.last("quickstart", "labels").unwrap(), Some(first));
    assert_eq!(cache.last("other", "labels").unwrap(), Some(second));
}

#[test]
fn a_result_without_one_of_its_blobs_is_none() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let checkpoint = checkpoint(&cache, &[("config.json", b"{}"), ("weights", b"0101")]);
    let result = result(&[("checkpoint", checkpoint.clone()), ("metrics", dataset(&cache, b"m"))]);
    let key = preimage(1).key();
    cache.record(&preimage(1), &result, "quickstart", "sft").unwrap();
    for bytes in [b"0101".as_slice(), b"m"] {
        assert!(cache.result(&key).unwrap().is_some());
        fs::remove_file(blob(&cache, &Digest::of(bytes))).unwrap();
        assert_eq!(cache.result(&key).unwrap(), None);
        cache.put(bytes).unwrap();
    }
    assert!(cache.check_output(&checkpoint).unwrap());
    fs::write(blob(&cache, &Digest::of(b"0101")), b"0111").unwrap();
    assert!(!cache.check_output(&checkpoint).unwrap(), "a damaged file inside a tree is found");
    assert!(!cache.contains(&Digest::of(b"0101")), "and set aside");
    assert!(matches!(cache.take_damage()[..], [Damage::Blob { digest, .. }] if digest == Digest::of(b"0101")));
    assert!(matches!(cache.tree(&Digest::of(b"m")), Err(CacheError::NotATree { .. })));
}

#[test]
fn modes_say_what_is_taken_and_what_is_kept() {
    let (scratch, writer) = open(Mode::Write);
    let folder = scratch.path().join("cache");
    let reader = Cache::open(&folder, Mode::Read).unwrap();
    let neither = Cache::open(&folder, Mode::Off).unwrap();
    let key = preimage(1).key();
    for cache in [&reader, &neither] {
        cache.record(&preimage(1), &result(&[]), "quickstart", "labels").unwrap();
        cache.used(&[(key, "quickstart", "labels")]).unwrap();
    }
    assert_eq!((reader.result(&key).unwrap(), reader.last("quickstart", "labels").unwrap()), (None, None));
    writer.record(&preimage(1), &result(&[]), "quickstart", "labels").unwrap();
    assert_eq!(writer.result(&key).unwrap(), None);
    assert_eq!(neither.result(&key).unwrap(), None);
    assert_eq!(reader.result(&key).unwrap(), Some(result(&[])));
    assert_eq!(reader.last("quickstart", "labels").unwrap(), Some(key), "history is for explaining, in every mode");
}

#[test]
fn a_partial_lasts_until_the_result() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let key = preimage(1).key();
    let partial = |step| Partial { step, output: checkpoint(&cache, &[("weights", format!("{step}").as_bytes())]) };
    cache.keep_partial(&key, &partial(10)).unwrap();
    cache.keep_partial(&key, &partial(20)).unwrap();
    assert_eq!(cache.partial(&key).unwrap(), Some(partial(20)));
    age(&cache);
    let collected = cache.collect(Collect { older_than: DAY, ..Collect::default() }).unwrap();
    assert_eq!(collected.blobs, 2, "the tree and the file of step 10");
    assert_eq!(cache.partial(&key).unwrap(), Some(partial(20)));
    cache.record(&preimage(1), &result(&[]), "quickstart", "sft").unwrap();
    assert_eq!(cache.partial(&key).unwrap(), None);
}

#[test]
fn a_large_result_is_kept_as_a_blob() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let outputs: Vec<(String, Output)> = (0..1000_u32)
        .map(|i| (format!("{i}"), Output { digest: Digest::of(&i.to_le_bytes()), ..dataset(&cache, b"x") }))
        .collect();
    let outputs: Vec<(&str, Output)> = outputs.iter().map(|(port, output)| (port.as_str(), output.clone())).collect();
    let large =
        Preimage { params: json!((0..1000_u32).map(|i| Digest::of(&i.to_le_bytes())).collect::<Vec<_>>()), ..preimage(1) };
    cache.record(&large, &result(&outputs), "quickstart", "labels").unwrap();
    assert_eq!(cache.preimage(&large.key()).unwrap(), Some(large.clone()));
    age(&cache);
    cache.collect(Collect { older_than: DAY, ..Collect::default() }).unwrap();
    assert_eq!(cache.preimage(&large.key()).unwrap(), Some(large), "its blob is needed");
}

#[test]
fn collecting_drops_what_nobody_used_and_keeps_what_something_needs() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let kept = result(&[("checkpoint", checkpoint(&cache, &[("a", b"shared"), ("b", b"kept")]))]);
    cache.record(&preimage(1), &kept, "quickstart", "sft").unwrap();
    cache.put(b"nobody's").unwrap();
    let everything = Collect { older_than: DAY, ..Collect::default() };
    let young = cache.collect(everything).unwrap();
    assert_eq!((young.is_empty(), young.left.young_blobs, young.left.results), (true, 1, 1), "blobs younger than an hour stay");

    age(&cache);
    let would = cache.collect(Collect { dry: true, ..everything }).unwrap();
    assert_eq!((would.results, would.blobs), (0, 1));
    assert!(cache.contains(&Digest::of(b"nobody's")));
    assert_eq!(cache.collect(everything).unwrap(), would);
    assert!(!cache.contains(&Digest::of(b"nobody's")));
    assert!(cache.check_output(&kept.outputs["checkpoint"]).unwrap());

    // The second result shares a file with the first, which is about to go.
    let second = result(&[("checkpoint", checkpoint(&cache, &[("a", b"shared")]))]);
    cache.forget(&preimage(1).key()).unwrap();
    cache.record(&preimage(2), &second, "quickstart", "sft").unwrap();
    age(&cache);
    assert_eq!(cache.collect(everything).unwrap().blobs, 2);
    assert!(cache.result(&preimage(2).key()).unwrap().is_some());
    assert!(!cache.contains(&Digest::of(b"kept")));

    age(&cache);
    let unused = Collect { older_than: Duration::ZERO, ..Collect::default() };
    let would = cache.collect(Collect { dry: true, ..unused }).unwrap();
    assert!(cache.result(&preimage(2).key()).unwrap().is_some(), "a dry collection removes nothing");

    age(&cache);
    let collected = cache.collect(unused).unwrap();
    assert_eq!(collected, would);
    assert_eq!((collected.results, collected.preimages, collected.blobs), (1, 1, 2));
    assert_eq!(cache.result(&preimage(2).key()).unwrap(), None);
    assert_eq!(cache.preimage(&preimage(2).key()).unwrap(), Some(preimage(2)), "history still needs the last preimage");
}

#[tokio::test]
async fn replies_are_collected_only_when_asked() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    let large: Vec<u8> = (0..2000_u32).flat_map(|i| *Digest::of(&i.to_le_bytes()).as_bytes()).collect();
    cache.keep(Digest::of(b"small"), b"reply".to_vec(), None).await.unwrap();
    cache.keep(Digest::of(b"large"), large.clone(), None).await.unwrap();
    age(&cache);
    let now = Collect { older_than: Duration::ZERO, ..Collect::default() };
    let kept = cache.collect(now).unwrap();
    assert_eq!((kept.is_empty(), kept.left.replies), (true, 2));
    assert_eq!(cache.reply(&Digest::of(b"large")).unwrap(), Some(large));
    let collected = cache.collect(Collect { replies: true, ..now }).unwrap();
    assert_eq!((collected.replies, collected.blobs), (2, 1));
    assert_eq!(cache.reply(&Digest::of(b"small")).unwrap(), None);
}

#[tokio::test]
async fn a_damaged_entry_is_found_and_not_served() {
    let (scratch, cache) = open(Mode::ReadWrite);
    let folder = scratch.path().join("cache");
    let unit = Digest::of(b"unit");
    cache.keep(unit, b"the reply that was paid for".to_vec(), None).await.unwrap();
    cache.keep(Digest::of(b"other"), b"another reply".to_vec(), None).await.unwrap();
    drop(cache);
    damage_memo(&folder, b"the reply that was paid for");

    let cache = Cache::open(&folder, Mode::ReadWrite).unwrap();
    assert_eq!(cache.reply(&unit).unwrap(), None);
    assert_eq!(cache.claim(vec![unit]).await.unwrap(), [cache::Claim::Ours], "it is got again");
    let found = Damage::Entry { table: "replies", key: unit };
    assert_eq!(cache.take_damage(), std::slice::from_ref(&found));
    assert_eq!(cache.verify().unwrap(), [found]);
    assert_eq!(cache.verify().unwrap(), [], "it was set aside");
    assert_eq!(cache.stats().unwrap().damaged, 1);
    assert_eq!(cache.reply(&Digest::of(b"other")).unwrap().unwrap(), b"another reply");
    cache.keep(unit, b"the reply again".to_vec(), None).await.unwrap();
    assert_eq!(cache.reply(&unit).unwrap().unwrap(), b"the reply again");
}

#[test]
fn opening_twice_gives_the_same_and_closing_lets_go() {
    let (scratch, first) = open(Mode::ReadWrite);
    let folder = scratch.path().join("cache");
    let second = Cache::open(&folder.join("../cache"), Mode::Read).unwrap();
    assert_eq!((first.folder(), second.mode()), (second.folder(), Mode::Read));
    first.record(&preimage(1), &result(&[]), "quickstart", "labels").unwrap();
    assert!(second.result(&preimage(1).key()).unwrap().is_some());
    drop((first, second));
    assert_eq!(fs::read_dir(folder.join("owners")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);

    // Opened and closed by many threads at once, it is never open twice and never missing.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let cache = Cache::open(&folder, Mode::ReadWrite).unwrap();
                    assert!(cache.result(&preimage(1).key()).unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn stats_count() {
    let (_scratch, cache) = open(Mode::ReadWrite);
    cache.record(&preimage(1), &result(&[("labels", dataset(&cache, b"rows"))]), "quickstart", "labels").unwrap();
    let stats = cache.stats().unwrap();
    assert_eq!((stats.results, stats.preimages, stats.replies, stats.blobs, stats.damaged), (1, 1, 0, 1, 0));
    assert_eq!(stats.bytes, stats.memo_bytes + 4);
}
