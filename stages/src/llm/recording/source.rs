//! Where recordings come from. Takes a file of a pipeline or a path; gives its text, or a copy of its bytes for formats that are read from
//! their end.

use std::{fs, io, path::Path};

use engine::{Context, File, StageError};

use crate::unpacked::{self, Text};

/// A file of a pipeline, whose digest is in a key, or one outside of it.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    File(&'a Context, &'a File),
    Path(&'a Path),
}

impl Source<'_> {
    /// Returns the name, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(_, file) => file.name().to_owned(),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// Opens the bytes as they are.
    pub(super) fn bytes(&self) -> Result<Text, StageError> {
        match self {
            Self::File(ctx, file) => Ok(Box::new(file.open(ctx)?)),
            Self::Path(path) => {
                let file = crate::regular::open_regular(path)
                    .map_err(|error| StageError::failed(format!("`{}` cannot be read: {error}", path.display())))?;
                Ok(Box::new(io::BufReader::new(file)))
            }
        }
    }

    /// Opens the text, unpacked.
    pub(super) fn text(&self) -> Result<Text, StageError> {
        unpacked::text(&self.name(), self.bytes()?)
    }

    /// Copies the bytes to a file that has no name.
    pub(super) fn copy(&self) -> Result<fs::File, StageError> {
        let mut copy = match self {
            Self::File(ctx, _) => tempfile::tempfile_in(ctx.scratch())?,
            Self::Path(_) => tempfile::tempfile()?,
        };
        io::copy(&mut self.bytes()?, &mut copy)?;
        Ok(copy)
    }
}
