//! The memo: what is committed is there, however full, small or shared the map is.

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
    let message = Memo::open_with(scratch.path(), 64 << 20).err().unwrap().to_string();
    assert!(message.contains("its file is damaged: remove the cache's folder"), "{message}");
}
