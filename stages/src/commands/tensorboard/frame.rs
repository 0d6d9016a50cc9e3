//! TensorFlow's `TFRecord` format. Takes bytes; gives a record: the length, its checksum, the bytes, their checksum.

/// Returns a record around these bytes.
pub(super) fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let parts: [&[u8]; 4] = [&length, &masked(&length), record, &masked(record)];
    parts.concat()
}

/// Returns the masked CRC-32C of the format: rotated, plus a constant, since a plain CRC of data that contains CRCs is weak.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(bytes);
    sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_framed_as_tensorflow_frames_it() {
        // RFC 3720: the CRC-32C of 32 zeros is 8a9136aa.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        let framed = framed(&[0; 32]);
        assert_eq!(framed.len(), 8 + 4 + 32 + 4);
        assert_eq!(framed[..8], [32, 0, 0, 0, 0, 0, 0, 0]);
        // ((crc >> 15) | (crc << 17)) + 0xa282ead8, in 32 bits.
        assert_eq!(framed[44..], [0xfa, 0xff, 0xd7, 0x0f]);
        assert_ne!(framed[8..12], framed[44..]);
    }
}
