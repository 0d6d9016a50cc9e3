//! The tables of the database, each with its name.

/// A table of the database: one of LMDB's named databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Key of a stage → its result.
    Results,
    /// Key of a stage → its preimage.
    Preimages,
    /// Key of a stage → nothing; the entry's time is the last use.
    Uses,
    /// Manifest and stage → the key it had last.
    History,
    /// Key of a stage → its latest checkpoint.
    Partials,
    /// Unit → reply.
    Replies,
    /// Unit → the process that is calling for its reply.
    Claims,
    /// Digest of a receipt → the receipt: what was paid, to whom, when.
    Receipts,
    /// Digest of a name → the name and what was first written under it.
    Pins,
    /// Unit → the batch job that it was submitted in last.
    Submitted,
}

impl Table {
    pub(crate) const ALL: [Self; 10] = [
        Self::Results,
        Self::Preimages,
        Self::Uses,
        Self::History,
        Self::Partials,
        Self::Replies,
        Self::Claims,
        Self::Receipts,
        Self::Pins,
        Self::Submitted,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Preimages => "preimages",
            Self::Uses => "uses",
            Self::History => "history",
            Self::Partials => "partials",
            Self::Replies => "replies",
            Self::Claims => "claims",
            Self::Receipts => "receipts",
            Self::Pins => "pins",
            Self::Submitted => "submitted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_of_the_crate_lists_the_tables() {
        let drawn: Vec<&str> = include_str!("../lib.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! │   ├── ").or_else(|| line.strip_prefix("//! │   └── ")))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(drawn, Table::ALL.map(Table::name));
    }

    #[test]
    fn every_table_stands_at_its_number() {
        // An entry's checksum includes the number, and the environment finds a table by it.
        assert!(Table::ALL.iter().enumerate().all(|(number, table)| *table as usize == number));
    }
}
