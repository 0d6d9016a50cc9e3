//! What a benchmark is: its name and how its questions are loaded. Takes a file or a seed; gives drafts of questions.

use std::collections::BTreeMap;

use engine::{Context, File, StageError};

use super::{
    draft::Draft,
    published::{self, Published, files::Files},
    tables::columns::Columns,
};

/// What a benchmark is loaded with.
pub(crate) struct Settings<'a> {
    /// The file or files that the benchmark reads, if it reads any.
    pub path: Option<&'a Files>,
    /// The columns of a file with any columns.
    pub columns: &'a Columns,
    /// The byte that separates the cells of a CSV file, if it is said.
    pub delimiter: Option<u8>,
    /// How many questions to generate.
    pub count: usize,
    /// The seed that questions are generated from.
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

/// What a benchmark reads.
pub(crate) enum Reads {
    /// Nothing: its questions are generated from a seed.
    Nothing,
    /// A file.
    File,
    /// A folder of files that have these names, or one of these files.
    Folder(fn() -> Vec<String>),
}

/// A benchmark. Each is one file with a constant of this type.
pub(crate) struct Benchmark {
    /// The word after `name:`.
    pub name: &'static str,
    /// The subject of its questions, in a few words.
    pub summary: &'static str,
    /// An example of what a manifest says under `with:`.
    pub example: &'static str,
    /// Raised when the benchmark gives other questions for the same params.
    pub version: u32,
    pub reads: Reads,
    /// The files that are published under the benchmark's name.
    pub published: &'static [Published],
    /// Reads or generates the questions.
    pub load: fn(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError>,
}

impl Benchmark {
    /// Reads or generates the questions, and warns if the file is none of those that are published under this name.
    pub(crate) fn questions(&self, ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
        let drafts = (self.load)(ctx, settings)?;
        if let Some(file) = settings.path.and_then(Files::one) {
            published::compare(ctx, self.name, self.published, file, drafts.len());
        }
        Ok(drafts)
    }

    /// Returns the names of the files in its folder, if the benchmark reads a folder.
    pub(crate) fn file_names(&self) -> Vec<String> {
        if let Reads::Folder(file_names) = self.reads { file_names() } else { Vec::new() }
    }

    /// Returns the help of the error that no file is named.
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

/// Returns an error if two questions have the same id.
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
