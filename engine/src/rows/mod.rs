//! Stages that work row by row. Takes an `EachRow` and its inputs; gives its rows, or what can be said about them without a call.
//!
//! Read `reply` (the reply to one unit) and `each` (a run through all rows) first; then `forecast` (what a run would buy), `attempt` (a
//! trial of one row) and `import` (answers from outside become replies).

pub(crate) mod attempt;
pub(crate) mod each;
pub(crate) mod forecast;
pub(crate) mod import;
pub(crate) mod reply;
