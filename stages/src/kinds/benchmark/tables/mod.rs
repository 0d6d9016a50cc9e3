//! Files of rows: CSV, JSON lines and Parquet. Takes a file and a map of columns; gives a benchmark's questions.
//!
//! Read `row` (a row, its place and its fields) and `columns` (which column means what) first, then one file for each format: `csv`, `jsonl`,
//! `parquet`. `table` recognises the format of a file by its first bytes, for benchmarks that are published in several.

pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod parquet;
pub(crate) mod row;
pub(crate) mod table;
