//! Text files as a person would open them. Takes a file; gives its text as a stream, without gzip and without a byte-order mark.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use engine::{Context, File, StageError};
use flate2::bufread::MultiGzDecoder;

/// A text as a stream.
pub(crate) type Text = Box<dyn BufRead + Send>;

/// Unpacked bytes that are always accepted.
pub(crate) const FREE: u64 = 64 << 20;

/// Unpacked bytes for a packed byte that are accepted beyond [`FREE`]. Text reaches 20; a file made to fill memory reaches 1,000.
pub(crate) const RATIO: u64 = 100;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// First bytes of what is not read, with its name and what to do.
const REFUSED: [(&[u8], &str, &str); 6] = [
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"BZh", "packed by bzip2", "unpack it, or pack it by gzip"),
    (b"\xfd7zXZ\0", "packed by xz", "unpack it, or pack it by gzip"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it, or pack it by gzip"),
    (b"PK\x03\x04", "a zip archive", "name one of the files in it, unpacked"),
];

/// Opens a text file. Nothing is unpacked before it is read, and never more than text can be.
pub(crate) fn open(ctx: &Context, file: &File) -> Result<Text, StageError> {
    text(file.name(), Box::new(file.open(ctx)?))
}

/// Returns the text in the bytes of a named file.
pub(crate) fn text(name: &str, bytes: Text) -> Result<Text, StageError> {
    let (head, reader) = first(bytes)?;
    if let Some((_, what, help)) = REFUSED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(StageError::failed(format!("`{name}` is {what}, which is not read here")).help(*help));
    }
    if !head.starts_with(b"\x1f\x8b") {
        return Ok(without_mark(&head, reader));
    }
    let packed = Counted { reader, count: 0 };
    let unpacked = Bounded { decoder: MultiGzDecoder::new(BufReader::new(packed)), count: 0 };
    let (head, reader) = first(BufReader::new(unpacked))
        .map_err(|error| StageError::failed(format!("`{name}` cannot be unpacked: {error}")).help("pack the file again"))?;
    Ok(without_mark(&head, reader))
}

/// Builds the error of a named file that cannot be read to its end, because it is damaged or unpacks to what no text is.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> StageError {
    StageError::failed(format!("`{name}` cannot be read: {error}")).help("the file must be whole; pack it again, or unpack it")
}

/// Returns the first bytes of a text that are no white space, without reading it twice; fewer where it ends.
pub(crate) fn head(text: Text) -> io::Result<(Vec<u8>, Text)> {
    let mut skipped = Vec::new();
    let mut text = text;
    loop {
        let buffer = text.fill_buf()?;
        let white = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let all = white == buffer.len();
        skipped.extend_from_slice(&buffer[..white]);
        text.consume(white);
        if !all || white == 0 {
            break;
        }
    }
    let (head, text) = first(text)?;
    Ok((head, Box::new(Cursor::new(skipped).chain(text))))
}

/// Returns up to eight bytes, and the whole.
fn first<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, impl BufRead + use<R>)> {
    let mut head = Vec::new();
    reader.by_ref().take(8).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

fn without_mark(head: &[u8], mut reader: impl BufRead + Send + 'static) -> Text {
    if head.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    Box::new(reader)
}

/// Counts the bytes that are read.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

/// Ends with an error where a file unpacks to more than text does.
struct Bounded<R> {
    decoder: MultiGzDecoder<BufReader<Counted<R>>>,
    count: u64,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        self.count += read as u64;
        let packed = self.decoder.get_ref().get_ref().count;
        if self.count > FREE.saturating_add(packed.saturating_mul(RATIO)) {
            return Err(io::Error::other(format!("it unpacks to more than {RATIO} times its size, which text does not")));
        }
        Ok(read)
    }
}
