//! The store. Takes a digest; gives the content behind an artifact.

use std::{io::BufReader, path::Path, sync::Arc};

use cache::{Cache, Digest};

use crate::contract::error::StageError;

/// The content behind the artifacts. Stages have artifacts, and never the store.
#[derive(Clone)]
pub struct Store(Arc<Cache>);

impl Store {
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self(cache)
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.0
    }

    pub(crate) fn buffered(&self, digest: &Digest) -> Result<BufReader<cache::BlobReader>, StageError> {
        Ok(BufReader::with_capacity(1 << 16, self.0.reader(digest)?))
    }

    pub(crate) fn put_file(&self, path: &Path) -> Result<(Digest, u64), StageError> {
        Ok(self.0.put_file(path)?)
    }
}
