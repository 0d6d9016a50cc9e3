//! The tables of the database, each with its name.

/// A table of the database: one of LMDB's named databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Results, by the key of the stage.
    Results,
    /// Preimages, by the key of the stage.
    Preimages,
    /// Uses of results, by the key of the stage. An entry is empty; its time is the last use.
    Uses,
    /// The last key of every stage, by the digest of manifest and stage.
    History,
    /// The latest checkpoint of unfinished stages, by the key of the stage.
    Partials,
    /// Replies, by unit.
    Replies,
    /// The process that is calling for a reply, by unit.
    Claims,
    /// Receipts, by their own digest: what was paid, to whom, when.
    Receipts,
    /// Names and what was first written under each, by the digest of the name.
    Pins,
    /// The batch job that a unit was submitted in last, by unit.
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
