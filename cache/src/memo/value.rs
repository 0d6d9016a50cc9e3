//! Entries of the database. Takes a value; gives its bytes with a time and a checksum, packed where that helps, and the value back.
//!
//! ```text
//! form: 1 byte │ time: 8 bytes, seconds since 1970 │ check: 8 bytes │ plain: the value
//!                                                                    │ packed: its length, 4 bytes, and zstd
//!                                                                    │ blob: its digest, 32 bytes
//! ```

use std::sync::Arc;

use crate::{
    blobs::{Blobs, found},
    damage::Damage,
    digest::Digest,
    error::CacheError,
    memo::Table,
};

/// The largest value in the database, in bytes; larger ones go to blobs, because LMDB needs adjacent pages for a value of several pages.
const LARGEST: usize = 16 * 1024;

/// The smallest value that is packed, in bytes: smaller ones would hardly shrink, and packing them costs more than writing them.
const SMALLEST_PACKED: usize = 1024;

const HEAD: usize = 1 + 8 + 8;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
const BLOB: u8 = 2;

/// Encodes a value as an entry. A large value is durably stored as a blob first.
pub(crate) fn encode(table: Table, key: &Digest, value: &[u8], time: u64, blobs: &Arc<Blobs>) -> Result<Vec<u8>, CacheError> {
    let packed = if value.len() < SMALLEST_PACKED { None } else { pack(value) };
    let (form, body) = match &packed {
        Some(packed) => (PACKED, packed.as_slice()),
        None => (PLAIN, value),
    };
    if body.len() > LARGEST {
        let digest = blobs.put(value)?;
        return Ok(entry(table, key, BLOB, time, digest.as_bytes()));
    }
    Ok(entry(table, key, form, time, body))
}

/// Returns whether [`encode`] may have to write a file.
pub(crate) fn may_be_large(value: &[u8]) -> bool {
    value.len() > LARGEST
}

/// Decodes an entry; `None` where it is damaged, which is noted, or where its blob is gone.
pub(crate) fn decode(table: Table, key: &Digest, entry: &[u8], blobs: &Arc<Blobs>) -> Result<Option<Vec<u8>>, CacheError> {
    match open(table, key, entry) {
        Some(Body::Value(value)) => Ok(Some(value)),
        Some(Body::Blob(digest)) => found(blobs.read(&digest)),
        None => {
            blobs.damage.add(Damage::Entry { table: table.name(), key: *key });
            Ok(None)
        }
    }
}

/// The content of an entry: a value, or the digest of the blob that has it.
pub(crate) enum Body {
    Value(Vec<u8>),
    Blob(Digest),
}

/// Checks and unpacks an entry; `None` where it is damaged.
pub(crate) fn open(table: Table, key: &Digest, entry: &[u8]) -> Option<Body> {
    let (form, body) = (*entry.first()?, entry.get(HEAD..)?);
    if entry[9..HEAD] != check(table, key, form, time(entry), body) {
        return None;
    }
    match form {
        PLAIN => Some(Body::Value(body.to_vec())),
        PACKED => {
            let (length, packed) = body.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            zstd::bulk::decompress(packed, length).ok().map(Body::Value)
        }
        BLOB => Digest::from_slice(body).map(Body::Blob),
        _ => None,
    }
}

/// Returns when an entry was written, in seconds since 1970; 0 where it is cut short.
pub(crate) fn time(entry: &[u8]) -> u64 {
    entry.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn pack(value: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(value.len()).ok()?;
    let packed = zstd::bulk::compress(value, 1).ok()?;
    (packed.len() + 4 < value.len()).then(|| [&length.to_le_bytes(), packed.as_slice()].concat())
}

fn entry(table: Table, key: &Digest, form: u8, time: u64, body: &[u8]) -> Vec<u8> {
    [&[form], time.to_le_bytes().as_slice(), &check(table, key, form, time, body), body].concat()
}

/// Returns the checksum: the first bytes of a digest over table, key and content, so that an entry in the place of another one is found.
fn check(table: Table, key: &Digest, form: u8, time: u64, body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[table as u8, form]).update(&time.to_le_bytes()).update(key.as_bytes()).update(body);
    *hasher.finalize().as_bytes().first_chunk().expect("a digest has more than 8 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::tests::blobs;

    #[test]
    fn every_form_reads_back() {
        let (_scratch, blobs) = blobs();
        let key = Digest::of(b"key");
        let random: Vec<u8> = (0..40_000_u32).flat_map(|i| *Digest::of(&i.to_le_bytes()).as_bytes()).take(40_000).collect();
        for (value, form) in
            [(Vec::new(), PLAIN), (b"short".to_vec(), PLAIN), (vec![b'x'; 100_000], PACKED), (random.clone(), BLOB)]
        {
            let entry = encode(Table::Replies, &key, &value, 77, &blobs).unwrap();
            assert_eq!((entry[0], time(&entry)), (form, 77), "{} bytes", value.len());
            assert_eq!(decode(Table::Replies, &key, &entry, &blobs).unwrap(), Some(value));
        }
        assert_eq!(blobs.damage.take(), []);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (_scratch, blobs) = blobs();
        let key = Digest::of(b"key");
        for value in [b"a reply".to_vec(), b"a reply that is packed, ".repeat(60)] {
            let entry = encode(Table::Replies, &key, &value, 77, &blobs).unwrap();
            for bit in 0..entry.len() * 8 {
                let mut damaged = entry.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(Table::Replies, &key, &damaged, &blobs).unwrap(), None, "bit {bit}");
            }
            for length in 0..entry.len() {
                assert_eq!(decode(Table::Replies, &key, &entry[..length], &blobs).unwrap(), None, "cut at {length}");
            }
            assert_eq!(decode(Table::Results, &key, &entry, &blobs).unwrap(), None);
            assert_eq!(decode(Table::Replies, &Digest::of(b"other"), &entry, &blobs).unwrap(), None);
        }
        assert!(blobs.damage.take().contains(&Damage::Entry { table: "replies", key }));
    }
}
