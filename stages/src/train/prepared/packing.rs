//! Short rows → rows of one length: best fit, longest first, or one stream cut into pieces. As TRL's `pack_dataset` does it.

use std::collections::{BTreeMap, VecDeque};

use super::SftRow;
use crate::train::settings::Packing;

/// Rows that are packed together at most: TRL packs what `datasets` hands it, a thousand rows at a time.
const BATCH: usize = 1000;

/// Packs rows into rows of at most `length` tokens; `length` is at least 1.
#[must_use]
pub fn pack(rows: &[SftRow], length: usize, strategy: Packing) -> Vec<SftRow> {
    let packed = |rows: &[SftRow]| match strategy {
        Packing::Bfd => best_fit(rows.iter().map(|row| piece(row, 0, length)).collect(), length),
        Packing::BfdSplit => {
            let pieces = |row| (0..SftRow::len(row)).step_by(length).map(move |start| piece(row, start, length));
            best_fit(rows.iter().flat_map(pieces).collect(), length)
        }
        Packing::Wrapped => wrapped(rows, length),
    };
    rows.chunks(BATCH).flat_map(packed).collect()
}

impl SftRow {
    fn len(&self) -> usize {
        self.input_ids.len()
    }

    fn append(&mut self, other: &Self) {
        self.input_ids.extend(&other.input_ids);
        self.labels.extend(&other.labels);
    }
}

fn piece(row: &SftRow, start: usize, length: usize) -> SftRow {
    let end = row.len().min(start + length);
    SftRow { input_ids: row.input_ids[start..end].to_vec(), labels: row.labels[start..end].to_vec(), seq_lengths: None }
}

/// Puts the longest piece first into the row with the least room for it, of several such rows into the one that came to that room first.
fn best_fit(mut pieces: Vec<SftRow>, length: usize) -> Vec<SftRow> {
    pieces.retain(|piece| piece.len() > 0);
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    let mut packed: Vec<SftRow> = Vec::new();
    let mut rooms: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for piece in &pieces {
        let fitting = rooms.range_mut(piece.len()..).find_map(|(&room, rows)| rows.pop_front().map(|row| (room, row)));
        let (room, row) = fitting.unwrap_or_else(|| {
            packed.push(SftRow { seq_lengths: Some(Vec::new()), ..SftRow::default() });
            (length, packed.len() - 1)
        });
        packed[row].append(piece);
        packed[row].seq_lengths.get_or_insert_default().push(piece.len());
        rooms.entry(room - piece.len()).or_default().push_back(row);
    }
    packed
}

fn wrapped(rows: &[SftRow], length: usize) -> Vec<SftRow> {
    let mut stream = SftRow::default();
    for row in rows {
        stream.append(row);
    }
    (0..stream.len()).step_by(length).map(|start| piece(&stream, start, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<SftRow> {
        [vec![1, 2, 3, 4, 5], vec![6, 7], vec![], vec![8, 9, 10], vec![11]].map(row).into()
    }

    fn row(input_ids: Vec<u32>) -> SftRow {
        SftRow { labels: input_ids.iter().map(|&id| i64::from(id)).collect(), input_ids, seq_lengths: None }
    }

    fn packed(strategy: Packing) -> Vec<(Vec<u32>, Option<Vec<usize>>)> {
        let packed = pack(&rows(), 4, strategy);
        for row in &packed {
            assert_eq!(row.labels, row.input_ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>(), "labels go with their ids");
        }
        packed.into_iter().map(|row| (row.input_ids, row.seq_lengths)).collect()
    }

    #[test]
    fn rows_come_out_as_trl_packs_them() {
        // The examples in the documentation of TRL's `pack_dataset`, with an empty row more, which is left out.
        let lengths = |lengths: &[usize]| Some(lengths.to_vec());
        let bfd = vec![(vec![1, 2, 3, 4], lengths(&[4])), (vec![8, 9, 10, 11], lengths(&[3, 1])), (vec![6, 7], lengths(&[2]))];
        assert_eq!(packed(Packing::Bfd), bfd);
        let split =
            vec![(vec![1, 2, 3, 4], lengths(&[4])), (vec![8, 9, 10, 5], lengths(&[3, 1])), (vec![6, 7, 11], lengths(&[2, 1]))];
        assert_eq!(packed(Packing::BfdSplit), split);
        let wrapped = vec![(vec![1, 2, 3, 4], None), (vec![5, 6, 7, 8], None), (vec![9, 10, 11], None)];
        assert_eq!(packed(Packing::Wrapped), wrapped);
    }

    #[test]
    fn a_thousand_rows_are_packed_at_a_time() {
        let rows = vec![row(vec![1]); 1001];
        let lengths: Vec<usize> = pack(&rows, 600, Packing::Wrapped).iter().map(SftRow::len).collect();
        assert_eq!(lengths, [600, 400, 1]);
    }

    #[test]
    fn of_rows_with_the_same_room_the_one_that_came_to_it_first_is_filled_first() {
        let rows = [vec![1; 3], vec![2; 3], vec![3], vec![4]].map(row);
        let firsts: Vec<_> = pack(&rows, 4, Packing::Bfd).into_iter().map(|row| row.input_ids).collect();
        assert_eq!(firsts, [vec![1, 1, 1, 3], vec![2, 2, 2, 4]]);
    }
}
