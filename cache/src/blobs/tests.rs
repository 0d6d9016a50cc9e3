//! Tests of blobs: what is stored is read back whole, or not at all.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    sync::Arc,
};

use super::*;

/// Returns the blobs of a new cache folder.
pub(crate) fn blobs() -> (tempfile::TempDir, Arc<Blobs>) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = Folder::open(scratch.path()).unwrap();
    let presence = Presence::announce(&folder).unwrap();
    (scratch, Arc::new(Blobs { folder, base: None, presence, damage: DamageList::default() }))
}

/// Returns bytes that packing does not shrink.
fn noise(length: usize) -> Vec<u8> {
    (0_u64..).flat_map(|i| *Digest::of(&i.to_le_bytes()).as_bytes()).take(length).collect()
}

/// Returns contents on both sides of every decision, and whether each is packed: empty, small, at the edge of the head, large.
fn contents() -> Vec<(Vec<u8>, bool)> {
    let text = |length: usize| b"the quick brown fox ".iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let mut contents = vec![(Vec::new(), false)];
    for length in [1000, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 1_000_000] {
        contents.extend([(text(length), true), (noise(length), false)]);
    }
    contents
}

#[test]
fn blobs_come_back_by_their_digest() {
    let (_scratch, blobs) = blobs();
    for (bytes, packed) in contents() {
        let digest = blobs.put(&bytes).unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(blobs.read(&digest).unwrap(), bytes);
        let stored = blobs.find(&digest).unwrap();
        assert_eq!(stored.packed, packed, "{} bytes", bytes.len());
        assert!(stored.bytes <= bytes.len() as u64);
    }
    assert_eq!(fs::read_dir(&blobs.presence.temporary).unwrap().count(), 0);
}

#[test]
fn pieces_make_the_same_blob() {
    let (_scratch, blobs) = blobs();
    for (bytes, _) in contents() {
        let mut writer = BlobWriter::new(Arc::clone(&blobs)).unwrap();
        for piece in bytes.chunks(777) {
            writer.write_all(piece).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), (Digest::of(&bytes), bytes.len() as u64));
        assert_eq!(blobs.read(&Digest::of(&bytes)).unwrap(), bytes);
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let (_scratch, blobs) = blobs();
    let mut writer = BlobWriter::new(Arc::clone(&blobs)).unwrap();
    writer.write_all(&noise(300_000)).unwrap();
    assert_eq!(fs::read_dir(&blobs.presence.temporary).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(&blobs.presence.temporary).unwrap().count(), 0);
    assert_eq!(fs::read_dir(blobs.folder.blobs()).unwrap().count(), 0);
}

#[test]
fn a_damaged_blob_is_set_aside_and_not_served() {
    for (bytes, _) in contents().into_iter().filter(|(bytes, _)| !bytes.is_empty()) {
        for (what, damage) in [
            (
                "flipped",
                (|file: &mut File, length| {
                    file.seek(SeekFrom::Start(length / 2)).unwrap();
                    let mut byte = [0];
                    file.read_exact(&mut byte).unwrap();
                    file.seek(SeekFrom::Start(length / 2)).unwrap();
                    file.write_all(&[byte[0] ^ 1]).unwrap();
                }) as fn(&mut File, u64),
            ),
            ("cut", |file, length| file.set_len(length - 1).unwrap()),
            ("emptied", |file, _| file.set_len(0).unwrap()),
            ("longer", |file, _| {
                file.seek(SeekFrom::End(0)).unwrap();
                file.write_all(b"x").unwrap();
            }),
        ] {
            let (scratch, blobs) = blobs();
            let digest = blobs.put(&bytes).unwrap();
            let stored = blobs.find(&digest).unwrap();
            let mut file = OpenOptions::new().read(true).write(true).open(&stored.path).unwrap();
            damage(&mut file, stored.bytes);

            let copy = scratch.path().join("copy");
            assert!(matches!(blobs.copy_to(&digest, &copy), Err(CacheError::Damaged { .. })), "{what}");
            assert!(!copy.exists());
            assert!(matches!(blobs.read(&digest), Err(CacheError::Missing { .. })), "{what}: it was set aside");
            assert_eq!(fs::read_dir(blobs.folder.damaged()).unwrap().count(), 1, "{what}");
            assert_eq!(blobs.damage.take().len(), 1);

            // A blob that is computed again is stored again.
            assert_eq!(blobs.put(&bytes).unwrap(), digest);
            assert_eq!(blobs.read(&digest).unwrap(), bytes);
        }
    }
}

#[test]
fn a_reader_of_a_damaged_blob_ends_in_an_error_that_says_so() {
    let (_scratch, blobs) = blobs();
    let digest = blobs.put(&noise(1000)).unwrap();
    fs::write(blobs.find(&digest).unwrap().path, noise(999)).unwrap();
    let mut reader = blobs.reader(&digest).unwrap();
    for _ in 0..2 {
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(matches!(CacheError::inside(&error), Some(CacheError::Damaged { digest: named, .. }) if *named == digest));
    }
    assert!(!blobs.check(&digest).unwrap());
}

#[test]
fn a_file_cut_short_on_disk_is_written_again() {
    let (_scratch, blobs) = blobs();
    let digest = blobs.put(&noise(1000)).unwrap();
    fs::write(blobs.find(&digest).unwrap().path, b"").unwrap();
    blobs.put(&noise(1000)).unwrap();
    assert!(blobs.check(&digest).unwrap());
}

#[test]
fn copies_are_whole_and_replace_what_was_there() {
    let (scratch, blobs) = blobs();
    let path = scratch.path().join("copy");
    for (bytes, _) in contents() {
        let digest = blobs.put(&bytes).unwrap();
        blobs.copy_to(&digest, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(blobs.put_file(&path).unwrap(), (digest, bytes.len() as u64));
    }
}

#[test]
fn many_threads_put_the_same_blob() {
    let (_scratch, blobs) = blobs();
    let bytes = noise(200_000);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(blobs.put(&bytes).unwrap(), Digest::of(&bytes));
                    assert_eq!(blobs.read(&Digest::of(&bytes)).unwrap(), bytes);
                }
            });
        }
    });
    let mut count = 0;
    blobs
        .each(|_, _, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(count, 1);
    assert_eq!(blobs.damage.take(), []);
}
