//! Mathematical expressions in answers. Takes text, plain or TeX; gives numbers and expressions that can be compared.
//!
//! Read `token` (what a text consists of), `tree` (what an expression is and what it comes to), then `parse` (the longest expression that
//! begins at a token, with `command` for TeX). `figure` reads numerals as people write them.

mod command;
pub(super) mod figure;
pub(super) mod parse;
pub(super) mod token;
pub(super) mod tree;
