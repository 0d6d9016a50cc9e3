//! The kinds of stage: one folder or file each, with all that only it uses. Takes artifacts by typed ports and params from the manifest;
//! gives artifacts.
//!
//! Read them as the data flows: `benchmark`, `answer`, `judge`, `analyse`, `label`, `prepare`, `training` (`sft`, then `dpo` or `orpo`),
//! `evaluate`. `agreement` compares two judges, and `command` runs any program. Several kinds share `join` (rows by id), `unanswered` (what
//! counts without a verdict) and `errors`. A kind is added by one file or folder here and a line in the crate's `registry`.

pub(crate) mod agreement;
pub(crate) mod analyse;
pub(crate) mod answer;
pub(crate) mod benchmark;
pub(crate) mod command;
pub(crate) mod errors;
pub(crate) mod evaluate;
pub(crate) mod join;
pub(crate) mod judge;
pub(crate) mod label;
pub(crate) mod prepare;
pub(crate) mod training;
pub(crate) mod unanswered;
