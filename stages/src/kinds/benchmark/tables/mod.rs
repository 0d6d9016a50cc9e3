//! Files of rows with columns → questions: CSV, JSON lines and Parquet.
//!
//! Takes a file and a map of columns; gives a benchmark's questions. Read `table` (what all three share), then one file a format.

pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod parquet;
pub(crate) mod row;
pub(crate) mod table;
