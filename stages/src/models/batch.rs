//! Batches. Takes token ids of prompts with their continuations; gives one rectangle with positions, an attention mask and targets. A place is
//! one of its `rows * width` tokens.

/// A prompt and its continuations. The common beginning of all continuations is computed once.
///
/// The trunk is the prompt and the common beginning. Each branch continues the trunk, and attends to the trunk and itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    trunk: Vec<u32>,
    prompt: usize,
    branches: Vec<Vec<u32>>,
}

impl Row {
    /// Joins a prompt (at least one token) and its continuations (at least one).
    #[must_use]
    pub fn new(prompt: Vec<u32>, continuations: Vec<Vec<u32>>) -> Self {
        let shared = shared_beginning(&continuations);
        let prompt_length = prompt.len();
        let mut trunk = prompt;
        trunk.extend(continuations.first().map_or(&[][..], |first| &first[..shared]));
        let branches = continuations.into_iter().map(|tokens| tokens[shared..].to_vec()).collect();
        Self { trunk, prompt: prompt_length, branches }
    }

    /// Returns the number of tokens that are computed for this row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.trunk.len() + self.branches.iter().map(Vec::len).sum::<usize>()
    }

    /// Returns the number of continuations.
    #[must_use]
    pub fn sequences(&self) -> usize {
        self.branches.len()
    }

    /// Returns the number of tokens of all sequences. Shared tokens count in each sequence.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.branches.iter().map(|branch| self.trunk.len() + branch.len()).sum()
    }

    /// Returns the number of tokens that are predicted. Shared tokens count once.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.width() - self.prompt
    }
}

pub(crate) fn shared_beginning(continuations: &[Vec<u32>]) -> usize {
    let Some((first, rest)) = continuations.split_first() else { return 0 };
    rest.iter()
        .map(|other| first.iter().zip(other).take_while(|(left, right)| left == right).count())
        .min()
        .unwrap_or(first.len())
}

/// A token to predict, and the place whose output predicts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index of the place among `rows * width`.
    pub place: usize,
    /// The next token.
    pub token: u32,
}

/// Why rows cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There are no tokens, or the rows are not of one length.
    #[error("`input_ids` must be rows of one length, at least one token each")]
    Rows,
    /// An argument with a value for each token has another shape than the tokens.
    #[error("`{name}` must have the shape of `input_ids`")]
    Shape {
        /// The argument.
        name: &'static str,
    },
    /// A mask has values other than 0 and 1.
    #[error("`attention_mask` must contain only 0 and 1")]
    Mask,
    /// Packed documents are longer than their row.
    #[error("row {row}: `sequence_lengths` add up to more than its tokens")]
    Packing {
        /// Index of the row, from 0.
        row: usize,
    },
}

/// Rows padded on the right to one width.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// Number of tokens in a row, including padding.
    pub width: usize,
    /// Token ids, `rows * width`. Padding is token 0, and no target attends to it.
    pub ids: Vec<i32>,
    /// Positions for the rotary embedding, `rows * width`. Those of a branch begin where the trunk ends.
    pub positions: Vec<usize>,
    /// Number of tokens before each place in its sequence, `rows * width`, by which a sliding window is measured. `None` if that is the
    /// place's column. Positions may have gaps, which do not count.
    pub offsets: Option<Vec<usize>>,
    /// Branch of each place, `rows * width`. `None` if every place attends to all before it. All branches attend to branch 0, the trunk.
    /// Documents that are packed into one row are branches without a trunk, and padding is a branch too.
    pub branches: Option<Vec<usize>>,
    /// Number of tokens of the longest row that belongs to the same computation, even if it is in another batch. Some rotary positions are
    /// scaled by it.
    pub longest: usize,
    /// All predicted tokens. Shared ones are there once.
    pub targets: Vec<Target>,
    /// For each continuation of each row, in order, the indices of its targets.
    pub sequences: Vec<Vec<usize>>,
}

impl Batch {
    /// Lays out rows.
    #[must_use]
    pub fn new(rows: &[&Row]) -> Self {
        let width = rows.iter().map(|row| row.width()).max().unwrap_or(0);
        let places = rows.len() * width;
        let mut batch = Self {
            rows: rows.len(),
            width,
            ids: vec![0; places],
            positions: (0..places).map(|place| place % width).collect(),
            offsets: None,
            branches: None,
            longest: 0,
            targets: Vec::new(),
            sequences: Vec::new(),
        };
        let mut branches = vec![0; places];
        for (index, row) in rows.iter().enumerate() {
            batch.lay_out(row, index * width, &mut branches);
        }
        let branching = branches.iter().any(|&branch| branch > 0);
        if branching {
            batch.offsets = Some(batch.positions.clone());
            batch.branches = Some(branches);
        }
        batch
    }

    /// Makes a batch of rows of `width` tokens, all padding.
    #[must_use]
    pub(crate) fn empty(rows: usize, width: usize) -> Self {
        Self {
            rows,
            width,
            ids: vec![0; rows * width],
            positions: (0..rows * width).map(|place| place % width).collect(),
            offsets: None,
            branches: None,
            longest: 0,
            targets: Vec::new(),
            sequences: Vec::new(),
        }
    }

    /// Splits a row into documents of these lengths, which fit into it. Positions restart in each, and none attends to another.
    pub(crate) fn pack(&mut self, row: usize, lengths: &[usize]) {
        let (start, end) = (row * self.width, (row + 1) * self.width);
        let branches = self.branches.get_or_insert_with(|| vec![0; self.ids.len()]);
        branches[start..end].fill(usize::MAX);
        let mut place = start;
        for (document, &length) in lengths.iter().enumerate() {
            for offset in 0..length {
                branches[place + offset] = document + 1;
                self.positions[place + offset] = offset;
            }
            place += length;
        }
    }

    /// Lays out rows of one length, without targets, with positions from 0.
    ///
    /// # Errors
    /// There are no rows, empty rows, or rows of several lengths.
    pub fn plain(rows: &[Vec<u32>]) -> Result<Self, LayoutError> {
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(LayoutError::Rows);
        }
        Ok(Self {
            rows: rows.len(),
            width,
            ids: rows.iter().flatten().map(|token| token.cast_signed()).collect(),
            positions: (0..rows.len() * width).map(|place| place % width).collect(),
            offsets: None,
            branches: None,
            longest: 0,
            targets: Vec::new(),
            sequences: Vec::new(),
        })
    }

    /// Sets the position of every place. A sliding window still counts tokens.
    ///
    /// # Errors
    /// The positions have another shape than the rows.
    pub fn at_positions(mut self, positions: &[Vec<usize>]) -> Result<Self, LayoutError> {
        self.fits(positions, "position_ids")?;
        self.positions = positions.concat();
        Ok(self)
    }

    /// Moves all positions on by the number of tokens that were read before.
    #[must_use]
    pub(crate) fn after(mut self, tokens: usize) -> Self {
        for position in &mut self.positions {
            *position += tokens;
        }
        self
    }

    /// Hides the places where the mask is 0 from the others.
    ///
    /// # Errors
    /// The mask has another shape than the rows, or an entry other than 0 and 1.
    pub fn with_padding(mut self, attention_mask: &[Vec<u32>]) -> Result<Self, LayoutError> {
        self.fits(attention_mask, "attention_mask")?;
        let mask = attention_mask.concat();
        if mask.iter().any(|&entry| entry > 1) {
            return Err(LayoutError::Mask);
        }
        if mask.contains(&0) {
            let branches = self.branches.get_or_insert_with(|| vec![0; mask.len()]);
            for (branch, _) in branches.iter_mut().zip(mask).filter(|(_, entry)| *entry == 0) {
                *branch = usize::MAX;
            }
        }
        Ok(self)
    }

    /// Splits each row into several documents, one after another, that do not attend to each other. The rest of a row is padding.
    ///
    /// # Errors
    /// The lengths add up to more than a row has.
    pub fn packed(mut self, sequence_lengths: &[Vec<usize>]) -> Result<Self, LayoutError> {
        if sequence_lengths.len() != self.rows {
            return Err(LayoutError::Shape { name: "sequence_lengths" });
        }
        let mut branches = Vec::with_capacity(self.rows * self.width);
        for (row, lengths) in sequence_lengths.iter().enumerate() {
            if lengths.iter().try_fold(0_usize, |sum, &length| sum.checked_add(length)).is_none_or(|sum| sum > self.width) {
                return Err(LayoutError::Packing { row });
            }
            branches.extend(lengths.iter().enumerate().flat_map(|(document, &length)| vec![document + 1; length]));
            branches.resize((row + 1) * self.width, usize::MAX);
        }
        self.branches = Some(branches);
        Ok(self)
    }

    fn fits<T>(&self, rows: &[Vec<T>], name: &'static str) -> Result<(), LayoutError> {
        let fits = rows.len() == self.rows && rows.iter().all(|row| row.len() == self.width);
        if fits { Ok(()) } else { Err(LayoutError::Shape { name }) }
    }

    fn lay_out(&mut self, row: &Row, start: usize, branches: &mut [usize]) {
        let mut shared = Vec::new();
        for (position, &token) in row.trunk.iter().enumerate() {
            self.ids[start + position] = token.cast_signed();
            if position >= row.prompt {
                shared.push(self.target(start + position - 1, token));
            }
        }
        let end = start + row.trunk.len();
        let mut place = end;
        for (number, branch) in row.branches.iter().enumerate() {
            let mut targets = shared.clone();
            for (offset, &token) in branch.iter().enumerate() {
                self.ids[place] = token.cast_signed();
                self.positions[place] = row.trunk.len() + offset;
                branches[place] = number + 1;
                let predictor = if offset == 0 { end - 1 } else { place - 1 };
                targets.push(self.target(predictor, token));
                place += 1;
            }
            self.sequences.push(targets);
        }
    }

    fn target(&mut self, place: usize, token: u32) -> usize {
        self.targets.push(Target { place, token });
        self.targets.len() - 1
    }

    /// Returns the number of tokens of the longest row, by its positions.
    #[must_use]
    pub fn length(&self) -> usize {
        self.positions.iter().max().map_or(0, |position| position.saturating_add(1)).max(self.longest)
    }

    /// Returns the number of tokens before a place in its sequence.
    #[must_use]
    pub fn offset(&self, row: usize, column: usize) -> usize {
        self.offsets.as_ref().map_or(column, |offsets| offsets[row * self.width + column])
    }

    /// Returns whether the place at column `from` of a row attends to the one at column `to`.
    #[must_use]
    pub fn sees(&self, row: usize, from: usize, to: usize) -> bool {
        to <= from
            && self.branches.as_ref().is_none_or(|branches| {
                let branch = branches[row * self.width + to];
                branch == 0 || branch == branches[row * self.width + from]
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_continuation_is_a_plain_causal_row_with_the_completion_as_targets() {
        let row = Row::new(vec![5, 6], vec![vec![7, 8]]);
        let batch = Batch::new(&[&row]);
        assert_eq!(batch.ids, [5, 6, 7, 8]);
        assert_eq!(batch.positions, [0, 1, 2, 3]);
        assert_eq!(batch.branches, None);
        assert_eq!(batch.targets, [Target { place: 1, token: 7 }, Target { place: 2, token: 8 }]);
        assert_eq!(batch.sequences, [vec![0, 1]]);
    }

    #[test]
    fn branches_share_the_trunk_restart_their_positions_and_do_not_see_each_other() {
        let row = Row::new(vec![5], vec![vec![6, 7, 8], vec![6, 9]]);
        let wide = Row::new(vec![1; 6], vec![vec![2]]);
        let batch = Batch::new(&[&wide, &row]);
        assert_eq!(batch.width, 7);
        assert_eq!(batch.ids[7..], [5, 6, 7, 8, 9, 0, 0]);
        assert_eq!(batch.positions[7..12], [0, 1, 2, 3, 2]);
        let places: Vec<_> = batch.targets.iter().map(|target| (target.place, target.token)).collect();
        assert_eq!(places, [(5, 2), (7, 6), (8, 7), (9, 8), (8, 9)]);
        assert_eq!(batch.sequences, [vec![0], vec![1, 2, 3], vec![1, 4]]);
        assert!(batch.sees(1, 4, 1) && batch.sees(1, 4, 4) && batch.sees(1, 3, 2));
        assert!(!batch.sees(1, 4, 2) && !batch.sees(1, 4, 3) && !batch.sees(1, 1, 2));
    }
}
