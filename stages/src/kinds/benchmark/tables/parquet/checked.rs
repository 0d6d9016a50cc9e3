//! Checks of Parquet pages. Takes a row group; gives the same row group, whose pages are checked before they are decoded.
//!
//! The library reserves memory for as many values as a page claims, and the program is aborted if it gets none.

use ::parquet::{
    basic::Encoding,
    bloom_filter::Sbbf,
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::{metadata::RowGroupMetaData, reader::RowGroupReader},
    record::reader::RowIter,
    schema::types::Type,
};

use super::thrift::unsigned;

/// A row group that refuses pages which claim more values than their bytes can have.
pub(super) struct Checked<'a>(pub(super) Box<dyn RowGroupReader + 'a>);

impl RowGroupReader for Checked<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.0.metadata()
    }

    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        let descriptor = self.metadata().schema_descr().column(column);
        let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
        Ok(Box::new(Pages { pages: self.0.get_column_page_reader(column)?, levels }))
    }

    fn get_column_bloom_filter(&self, column: usize) -> Option<&Sbbf> {
        self.0.get_column_bloom_filter(column)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct Pages {
    pages: Box<dyn PageReader>,
    /// The column's maximum repetition level and maximum definition level.
    levels: [i16; 2],
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| check(page, self.levels))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// Returns an error if a page claims more values than there can be.
fn check(page: &Page, levels: [i16; 2]) -> Result<()> {
    let (values, bytes) = (u64::from(page.num_values()), page.buffer().len());
    let refuse = |claimed: u64| Err(ParquetError::General(format!("a page of {bytes} bytes cannot hold {claimed} values")));
    match page {
        // Every value of a dictionary takes at least a byte.
        Page::DictionaryPage { .. } if values > bytes as u64 => refuse(values),
        Page::DictionaryPage { .. } => Ok(()),
        _ if matches!(page.encoding(), Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) => {
            match deltas(page, levels) {
                Some(deltas) if deltas > values => refuse(deltas),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Returns the number of values in the header of a delta encoding. The library does not compare it with the page's number.
fn deltas(page: &Page, levels: [i16; 2]) -> Option<u64> {
    let mut rest: &[u8] = page.buffer();
    match page {
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            rest = rest.get(*def_levels_byte_len as usize..)?.get(*rep_levels_byte_len as usize..)?;
        }
        _ => {
            for _ in levels.iter().filter(|most| **most > 0) {
                let (length, behind) = rest.split_first_chunk()?;
                rest = behind.get(u32::from_le_bytes(*length) as usize..)?;
            }
        }
    }
    // The block size and the number of miniblocks come first.
    [unsigned(&mut rest)?, unsigned(&mut rest)?, unsigned(&mut rest)?].last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_held_against_bytes_and_against_each_other() {
        let dictionary =
            |num_values| Page::DictionaryPage { buf: vec![0; 8].into(), num_values, encoding: Encoding::PLAIN, is_sorted: false };
        check(&dictionary(8), [0, 0]).unwrap();
        check(&dictionary(9), [0, 0]).unwrap_err();
        // Two bytes of levels with their length before them, then blocks of 128 values in 4 miniblocks, and the count.
        let texts = |count: &[u8], encoding| Page::DataPage {
            buf: [&[2, 0, 0, 0, 3, 1, 0x80, 0x01, 4], count, &[0]].concat().into(),
            num_values: 3,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            check(&texts(&[3], encoding), [0, 1]).unwrap();
            check(&texts(&[0xff, 0xff, 0xff, 0x7f], encoding), [0, 1]).unwrap_err();
        }
    }
}
