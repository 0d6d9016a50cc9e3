//! A file or a seed → questions without a split. One file a benchmark.

use std::collections::BTreeMap;

use engine::{Context, File, StageError};

use super::{
    draft::Draft,
    published::{self, Published, files::Files},
    tables::columns::Columns,
};

/// What a benchmark is loaded with.
pub(crate) struct Settings<'a> {
    /// What the benchmark reads, if it does.
    pub path: Option<&'a Files>,
    /// Its columns.
    pub columns: &'a Columns,
    /// How many questions to generate.
    pub count: usize,
    /// What they are generated from.
    pub seed: u64,
}

impl<'a> Settings<'a> {
    pub(crate) fn files(&self) -> Result<&'a Files, StageError> {
        self.path.ok_or_else(|| StageError::failed("the benchmark reads a file, and none is named").help("add `path: FILE`"))
    }

    pub(crate) fn file(&self) -> Result<&'a File, StageError> {
        let one = self.files()?.one();
        one.ok_or_else(|| StageError::failed("the benchmark reads a file, and a folder is named").help("name a file in it"))
    }
}

/// What a benchmark is made from.
pub(crate) enum Reads {
    /// A seed.
    Nothing,
    /// A file.
    File,
    /// A folder of files that have these names, or one of them.
    Folder(fn() -> Vec<String>),
}

/// A benchmark: the word after `name:`.
pub(crate) struct Benchmark {
    /// The word.
    pub name: &'static str,
    /// What it asks, in a few words.
    pub summary: &'static str,
    /// What stands under `with:`, for example.
    pub example: &'static str,
    /// Raised when it gives other questions.
    pub version: u32,
    /// What it is made from.
    pub reads: Reads,
    /// The files that are published under its name.
    pub published: &'static [Published],
    /// Reads or makes the questions.
    pub load: fn(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError>,
}

impl Benchmark {
    /// Reads or makes the questions, and says so where a file is not the one that is published under this name.
    pub(crate) fn questions(&self, ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
        let drafts = (self.load)(ctx, settings)?;
        if let Some(file) = settings.path.and_then(Files::one) {
            published::compare(ctx, self.name, self.published, file, drafts.len());
        }
        Ok(drafts)
    }

    /// Returns the names that the files of its folder have, if it reads one.
    pub(crate) fn file_names(&self) -> Vec<String> {
        if let Reads::Folder(file_names) = self.reads { file_names() } else { Vec::new() }
    }

    /// What to do where no file is named.
    pub(crate) fn help(&self) -> String {
        let addresses: Vec<_> = self.published.iter().map(|published| published.address).collect();
        match addresses.join(", ").as_str() {
            "" => "add `path: FILE`".to_owned(),
            addresses if !published::pinned(self.published).is_empty() => {
                format!("add `path: FILE`, or `fetch: true`; published at {addresses}")
            }
            addresses => format!("add `path: FILE`; published at {addresses}"),
        }
    }
}

/// Refuses two questions of one id.
pub(crate) fn refuse_double_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), StageError> {
    let mut first = BTreeMap::new();
    for (index, id) in ids.enumerate() {
        if let Some(before) = first.insert(id, index) {
            return Err(StageError::failed(format!("questions {} and {} have the same id `{id}`", before + 1, index + 1))
                .help("name another column by `columns: { id: … }`, or take `duplicates: drop` where rows are repeated"));
        }
    }
    Ok(())
}
