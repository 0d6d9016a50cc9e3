//! What is pinned stays, and a reply's receipt is kept with it.

use cache::{Cache, Digest, Mode};

#[tokio::test]
async fn the_first_value_under_a_name_stays_until_it_is_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), Mode::ReadWrite).unwrap();
    assert_eq!(cache.pinned("model").unwrap(), None);
    assert_eq!(cache.pin("model", "first").unwrap(), "first");
    assert_eq!(cache.pin("model", "second").unwrap(), "first");
    assert_eq!(cache.pin("other", "second").unwrap(), "second");
    assert!(cache.unpin("model").unwrap());
    assert!(!cache.unpin("model").unwrap());
    assert_eq!(cache.pin("model", "second").unwrap(), "second");
}

#[tokio::test]
async fn units_are_in_the_job_that_they_were_handed_over_in_last() {
    let folder = tempfile::tempdir().unwrap();
    let units = [Digest::of(b"one"), Digest::of(b"two"), Digest::of(b"three")];
    let jobs = |cache: &Cache| cache.submitted(&units).unwrap();
    let cache = Cache::open(folder.path(), Mode::ReadWrite).unwrap();
    cache.submit(&units[..2], "first").unwrap();
    cache.submit(&units[1..2], "second").unwrap();
    drop(cache);
    let cache = Cache::open(folder.path(), Mode::ReadWrite).unwrap();
    assert_eq!(jobs(&cache), [Some("first".to_owned()), Some("second".to_owned()), None]);
    assert_eq!(jobs(&Cache::open(folder.path(), Mode::Off).unwrap()), [None, None, None]);
}

#[tokio::test]
async fn a_receipt_is_kept_with_its_reply() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), Mode::ReadWrite).unwrap();
    cache.keep(Digest::of(b"unit"), b"reply".to_vec(), Some(b"one".to_vec())).await.unwrap();
    cache.keep(Digest::of(b"unit"), b"again".to_vec(), Some(b"two".to_vec())).await.unwrap();
    cache.keep(Digest::of(b"free"), b"reply".to_vec(), None).await.unwrap();
    let receipts = cache.receipts().unwrap();
    let mut texts: Vec<_> = receipts.iter().map(|kept| kept.receipt.as_slice()).collect();
    texts.sort_unstable();
    assert_eq!(texts, [b"one", b"two"], "a reply that was bought twice has two receipts");
    assert!(receipts.iter().all(|kept| kept.time > 1_700_000_000));
}
