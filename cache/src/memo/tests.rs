//! Tests of the database: what is committed is never lost, however full, small or shared the map is.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::*;

fn put(memo: &Memo, number: u64, size: usize) -> Result<(), CacheError> {
    memo.change(&[(Table::Replies, Digest::of(&number.to_le_bytes()), vec![7; size])], &[])
}

#[test]
fn a_full_map_is_grown_and_nothing_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let memo = Memo::open_with(scratch.path(), 256 << 10).unwrap();
    for number in 0..100 {
        put(&memo, number, 10_000).unwrap();
    }
    assert_eq!(memo.count(Table::Replies).unwrap(), 100);
    for number in 0..100_u64 {
        assert_eq!(memo.get(Table::Replies, &Digest::of(&number.to_le_bytes())).unwrap(), Some(vec![7; 10_000]));
    }
}

#[test]
fn threads_read_and_write_while_the_map_grows() {
    let scratch = tempfile::tempdir().unwrap();
    let memo = Memo::open_with(scratch.path(), 256 << 10).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let memo = &memo;
            scope.spawn(move || {
                for number in 0..25 {
                    put(memo, thread * 25 + number, 10_000).unwrap();
                    let key = Digest::of(&(thread * 25 + number).to_le_bytes());
                    assert!(memo.get(Table::Replies, &key).unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(memo.count(Table::Replies).unwrap(), 100);
}

#[test]
fn an_environment_larger_than_the_map_opens() {
    let scratch = tempfile::tempdir().unwrap();
    let memo = Memo::open_with(scratch.path(), 64 << 20).unwrap();
    for number in 0..100 {
        put(&memo, number, 10_000).unwrap();
    }
    drop(memo);
    let memo = Memo::open_with(scratch.path(), 256 << 10).unwrap();
    put(&memo, 100, 10_000).unwrap();
    assert_eq!(memo.count(Table::Replies).unwrap(), 101);
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_not_a_crash() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("data.mdb"), vec![b'x'; 100_000]).unwrap();
    let error = Memo::open_with(scratch.path(), 64 << 20).err().unwrap();
    assert!(error.help().unwrap().contains("is damaged. Keep the folder"), "{error}");
}

#[test]
fn a_copy_of_a_database_in_use_is_of_one_moment() {
    let scratch = tempfile::tempdir().unwrap();
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    let memo = Memo::open(&from).unwrap();
    let keys: Vec<Digest> = (0..40_u64).map(|number| Digest::of(&number.to_le_bytes())).collect();
    let write = |generation: u8| {
        let puts: Vec<_> = keys.iter().map(|key| (Table::Replies, *key, vec![generation; 10_000])).collect();
        memo.change(&puts, &[]).unwrap();
    };
    write(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in (0..=u8::MAX).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                write(generation);
                // Writes come in bursts with pauses between them, as those of a run that waits for replies.
                std::thread::sleep(Duration::from_millis(if generation % 8 == 0 { 10 } else { 0 }));
            }
        });
        for _ in 0..20 {
            std::fs::create_dir(&to).unwrap();
            snapshot::copy(&from, &to).unwrap();
            let copy = Memo::open(&to).unwrap();
            let entries = copy.get_all(Table::Replies, &keys).unwrap();
            assert!(entries.iter().all(|entry| entry.as_ref().unwrap() == entries[0].as_ref().unwrap()));
            drop(copy);
            std::fs::remove_dir_all(&to).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn every_commit_shows_in_the_heads_of_the_file() {
    let scratch = tempfile::tempdir().unwrap();
    let memo = Memo::open(scratch.path()).unwrap();
    let mut file = std::fs::File::open(scratch.path().join("data.mdb")).unwrap();
    let mut before = snapshot::heads(&mut file).unwrap();
    for number in 0..6 {
        put(&memo, number, 100).unwrap();
        memo.count(Table::Replies).unwrap();
        let after = snapshot::heads(&mut file).unwrap();
        assert_ne!(before, after, "commit {number}");
        assert_eq!(snapshot::heads(&mut file).unwrap(), after);
        before = after;
    }
}
