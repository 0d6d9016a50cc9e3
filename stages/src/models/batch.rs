//! Token ids of prompts with their continuations, laid out as one rectangle with positions, an attention mask and targets.

/// A prompt and its continuations; what all continuations begin with is computed once.
///
/// The trunk is the prompt and the common beginning; each branch goes on from the trunk's end and sees the trunk and itself.
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

    /// Returns the number of tokens that are predicted, the shared ones counted once.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.width() - self.prompt
    }
}

fn shared_beginning(continuations: &[Vec<u32>]) -> usize {
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
    /// The token that comes next.
    pub token: u32,
}

/// Rows padded on the right to one width.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// Tokens in a row, padding included.
    pub width: usize,
    /// Token ids, `rows * width`; padding is token 0 and is seen by no target.
    pub ids: Vec<i32>,
    /// Positions for the rotary embedding, `rows * width`; a branch's begin where the trunk ends.
    pub positions: Vec<usize>,
    /// Branch of each place (0 is the trunk), `rows * width`; `None` where causality alone decides.
    pub branches: Option<Vec<usize>>,
    /// All predicted tokens, shared ones once.
    pub targets: Vec<Target>,
    /// For each continuation of each row, in order, the indices of its targets.
    pub sequences: Vec<Vec<usize>>,
}

impl Batch {
    /// Lays rows out side by side.
    #[must_use]
    pub fn new(rows: &[&Row]) -> Self {
        let width = rows.iter().map(|row| row.width()).max().unwrap_or(0);
        let places = rows.len() * width;
        let mut batch = Self {
            rows: rows.len(),
            width,
            ids: vec![0; places],
            positions: (0..places).map(|place| place % width).collect(),
            branches: None,
            targets: Vec::new(),
            sequences: Vec::new(),
        };
        let mut branches = vec![0; places];
        for (index, row) in rows.iter().enumerate() {
            batch.lay_out(row, index * width, &mut branches);
        }
        let branching = branches.iter().any(|&branch| branch > 0);
        batch.branches = branching.then_some(branches);
        batch
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

    /// Says whether the place at column `from` of a row attends to the one at column `to`.
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
