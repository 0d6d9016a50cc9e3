//! Checks of packed pages. Takes the place of a page and the size that it claims; gives an error if it unpacks to more.
//!
//! The library unpacks a page into memory to its end, whatever size it claims.

use std::{
    fs::File,
    io::{self, Read},
};

use ::parquet::file::reader::ChunkReader as _;

/// Where the packed bytes of a page are.
pub(super) struct Body {
    /// Behind the page's header.
    pub at: u64,
    /// How many bytes there are, with the levels.
    pub packed: u64,
    /// How many bytes of levels stand before the packed ones.
    pub levels: u64,
}

/// A page that unpacks to so many bytes is accepted at any ratio; writers end pages at 1 MiB.
const FREE: u64 = 64 << 20;

/// The ratio of unpacked to packed bytes that is accepted of larger pages.
const RATIO: u64 = 100;

/// Returns an error if the page of a codec, by its number in the format, cannot unpack to `whole` bytes, or unpacks to more.
pub(super) fn check(file: &File, codec: i64, body: &Body, whole: u64) -> Result<(), String> {
    let packed = body.packed;
    // What a codec can reach at most: a byte of Snappy copies 32 at most, one of LZ4 255, one of DEFLATE 1,032.
    let most = match codec {
        1 => packed.saturating_mul(32).saturating_add(64),
        5 | 7 => packed.saturating_mul(255).saturating_add(64),
        2 => packed.saturating_mul(1032).saturating_add(64),
        _ => u64::MAX,
    };
    if whole > most.min(packed.saturating_mul(RATIO).max(FREE)) {
        return Err(format!("a page of {packed} bytes cannot unpack to {whole}"));
    }
    let Ok(reader) = file.get_read(body.at.saturating_add(body.levels)) else { return Ok(()) };
    let bytes = reader.take(packed.saturating_sub(body.levels));
    let bytes = io::BufReader::new(bytes);
    let count = match codec {
        2 => count(flate2::bufread::MultiGzDecoder::new(bytes), whole),
        4 => count(brotli::Decompressor::new(bytes, 1 << 16), whole),
        6 => zstd::Decoder::new(bytes).map_or(0, |decoder| count(decoder, whole)),
        _ => 0,
    };
    if count > whole { Err(format!("a page claims {whole} bytes, and unpacks to more")) } else { Ok(()) }
}

/// Counts the bytes of a stream up to one more than `most`. A damaged stream is left to the library.
fn count(stream: impl Read, most: u64) -> u64 {
    let mut stream = stream.take(most.saturating_add(1));
    drop(io::copy(&mut stream, &mut io::sink()));
    most.saturating_add(1) - stream.limit()
}
