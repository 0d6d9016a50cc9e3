//! Packing, as by TRL's `pack_dataset`: best fit, longest first, or one stream that is cut. Takes short rows; gives rows of at most one length.

use std::collections::{BTreeMap, VecDeque};

use super::{Packing, SftRow};

/// Rows that are packed together at most. TRL packs what `datasets` passes to it, a thousand rows at a time.
const BATCH: usize = 1000;

/// A packed row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) row: SftRow,
    /// Indices of the rows whose parts it has, in its order.
    pub(super) from: Vec<usize>,
}

/// Packs rows into rows of at most `length` tokens. `length` is at least 1.
#[must_use]
pub(super) fn pack(rows: &[SftRow], length: usize, strategy: Packing) -> Vec<Packed> {
    let numbered: Vec<(usize, &SftRow)> = rows.iter().enumerate().collect();
    let packed = |rows: &[(usize, &SftRow)]| match strategy {
        Packing::Bfd => best_fit(rows.iter().map(|&(number, row)| (number, piece(row, 0, length))).collect(), length),
        Packing::BfdSplit => {
            let pieces = |&(number, row): &(usize, &SftRow)| {
                let starts = (0..row.len()).step_by(length);
                starts.map(|start| (number, piece(row, start, length))).collect::<Vec<_>>()
            };
            best_fit(rows.iter().flat_map(pieces).collect(), length)
        }
        Packing::Wrapped => wrapped(rows, length),
    };
    numbered.chunks(BATCH).flat_map(packed).collect()
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

/// Packs pieces by best fit, the longest first: each goes into the row with the least room that it fits into, and among several such rows into
/// the one that had this room first.
fn best_fit(mut pieces: Vec<(usize, SftRow)>, length: usize) -> Vec<Packed> {
    pieces.retain(|(_, piece)| piece.len() > 0);
    pieces.sort_by_key(|(_, piece)| std::cmp::Reverse(piece.len()));
    let mut packed: Vec<Packed> = Vec::new();
    let mut rooms: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for (number, piece) in &pieces {
        let fitting = rooms.range_mut(piece.len()..).find_map(|(&room, rows)| rows.pop_front().map(|row| (room, row)));
        let (room, row) = fitting.unwrap_or_else(|| {
            packed.push(Packed::default());
            (length, packed.len() - 1)
        });
        packed[row].row.append(piece);
        packed[row].row.seq_lengths.get_or_insert_default().push(piece.len());
        packed[row].from.push(*number);
        rooms.entry(room - piece.len()).or_default().push_back(row);
    }
    packed
}

fn wrapped(rows: &[(usize, &SftRow)], length: usize) -> Vec<Packed> {
    let mut stream = SftRow::default();
    let mut from = Vec::new();
    for (number, row) in rows {
        stream.append(row);
        from.resize(stream.len(), *number);
    }
    let starts = (0..stream.len()).step_by(length);
    let packed = starts.map(|start| {
        let row = piece(&stream, start, length);
        let mut from = from[start..start + row.len()].to_vec();
        from.dedup();
        Packed { row, from }
    });
    packed.collect()
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
        for Packed { row, .. } in &packed {
            assert_eq!(row.labels, row.input_ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>(), "labels go with their ids");
        }
        packed.into_iter().map(|Packed { row, .. }| (row.input_ids, row.seq_lengths)).collect()
    }

    #[test]
    fn rows_come_out_as_trl_packs_them() {
        // The examples in the documentation of TRL's `pack_dataset`, with one more, empty row, which is left out.
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
        let lengths: Vec<usize> = pack(&rows, 600, Packing::Wrapped).iter().map(|packed| packed.row.len()).collect();
        assert_eq!(lengths, [600, 400, 1]);
    }

    #[test]
    fn of_rows_with_the_same_room_the_one_that_came_to_it_first_is_filled_first() {
        let rows = [vec![1; 3], vec![2; 3], vec![3], vec![4]].map(row);
        let firsts: Vec<_> = pack(&rows, 4, Packing::Bfd).into_iter().map(|packed| packed.row.input_ids).collect();
        assert_eq!(firsts, [vec![1, 1, 1, 3], vec![2, 2, 2, 4]]);
    }

    #[test]
    fn a_packed_row_tells_which_rows_it_has_a_part_of() {
        let from = |strategy| pack(&rows(), 4, strategy).into_iter().map(|packed| packed.from).collect::<Vec<_>>();
        assert_eq!(from(Packing::Bfd), [vec![0], vec![3, 4], vec![1]]);
        assert_eq!(from(Packing::Wrapped), [vec![0], vec![0, 1, 3], vec![3, 4]]);
    }
}
