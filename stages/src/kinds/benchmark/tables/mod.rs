//! Files of rows: CSV, JSON and Parquet. Takes a file and a map of columns; gives a benchmark's questions.
//!
//! Read `row` (a row, its place and its fields), `columns` (which column means what) and `gold` (the right answers of a row) first, then one
//! file for each format: `csv`, `jsonl`, `json`, `parquet`. `value` and `literal` turn values, and cells that Python wrote, into texts. `table` recognises the format of a file
//! by its first bytes, for benchmarks that are published in several.

pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod gold;
mod json;
pub(crate) mod jsonl;
pub(crate) mod literal;
pub(crate) mod parquet;
pub(crate) mod row;
pub(crate) mod table;
pub(crate) mod value;
