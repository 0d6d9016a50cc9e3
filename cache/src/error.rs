//! The errors of the cache, and who is to blame for each.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{digest::Digest, output::TreeError};

/// An error of the cache; cloneable, because one failed commit answers many waiting callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CacheError {
    /// A blob is not there.
    #[error("blob `{digest}` is not in the cache `{folder}`")]
    Missing {
        /// Digest asked for.
        digest: Digest,
        /// The cache's folder.
        folder: PathBuf,
    },
    /// A blob does not match its digest. It is moved out of the way where the cache can be written.
    #[error("blob `{digest}` is damaged: it does not match its digest; its bytes are in `{aside}`")]
    Damaged {
        /// Digest that the bytes should have had.
        digest: Digest,
        /// Where the bytes are now.
        aside: PathBuf,
    },
    /// A blob that should be a tree of files is not one.
    #[error("blob `{digest}` is not a tree of files: {reason}")]
    NotATree {
        /// Digest of the blob.
        digest: Digest,
        /// What is wrong with it.
        reason: TreeError,
    },
    /// A tree lists a file that would be written outside its folder. Nothing in this crate stores such a tree.
    #[error("tree `{}` is refused: {reason}", digest.short())]
    UnsafeTree {
        /// Digest of the tree.
        digest: Digest,
        /// Which name is refused.
        reason: TreeError,
    },
    /// The operating system refused something.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// A verb: `read`, `write`, `create`.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// A copy of a blob cannot be written to the path that the caller gave.
    #[error("cannot write `{path}`: {source}")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The database refused something.
    #[error("cannot use the cache database `{path}`: {source}")]
    Memo {
        /// The database's folder.
        path: PathBuf,
        /// The database's reason.
        source: Arc<heed::Error>,
    },
    /// The folder holds something other than a cache.
    #[error("`{path}` is not empty and is not a cache")]
    NotACache {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version of the program.
    #[error("the cache `{path}` has format `{found}`, and this program reads format `{known}`")]
    Format {
        /// The folder.
        path: PathBuf,
        /// What its `format` file says.
        found: String,
        /// The format of this program.
        known: &'static str,
    },
    /// Something was to be stored in a cache whose folder cannot be written.
    #[error("the cache `{path}` is read-only: {reason}")]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// What the system refused when the cache was opened.
        reason: String,
    },
    /// The database of a read-only cache could not be copied, because another process was writing to it all the time.
    #[error("another process is writing to the cache `{path}`, which this user can only read")]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is on a file system that a memory-mapped database cannot live on.
    #[error("the cache `{path}` is on `{mount}`, a network file system (`{kind}`) on which its database would break")]
    Network {
        /// The folder.
        path: PathBuf,
        /// Where the file system is mounted.
        mount: PathBuf,
        /// Its type, as the kernel names it.
        kind: String,
    },
    /// A number that was written when the cache was opened could not be read back.
    #[error("the cache `{path}` (mounted at `{mount}`) does not keep what is written to it: {reason}")]
    Probe {
        /// The folder.
        path: PathBuf,
        /// Where its file system is mounted.
        mount: PathBuf,
        /// What failed.
        reason: String,
    },
    /// A value cannot be stored.
    #[error("a value cannot be stored: {reason}")]
    Value {
        /// What in it cannot be stored.
        reason: String,
    },
    /// The thread that commits replies is gone.
    #[error("the cache was closed while a reply waited to be stored")]
    Closed,
}

/// Who is to blame for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The machine: disk, permissions, file system.
    Environment,
    /// The cache's content: something is gone or damaged, and the next run computes it again.
    Content,
    /// The caller, with a value that cannot be stored.
    Caller,
}

impl CacheError {
    /// Returns who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Missing { .. } | Self::Damaged { .. } | Self::NotATree { .. } | Self::UnsafeTree { .. } => Blame::Content,
            Self::Value { .. } => Blame::Caller,
            Self::Io { .. }
            | Self::Copy { .. }
            | Self::Memo { .. }
            | Self::NotACache { .. }
            | Self::Format { .. }
            | Self::Network { .. }
            | Self::ReadOnly { .. }
            | Self::Busy { .. }
            | Self::Probe { .. }
            | Self::Closed => Blame::Environment,
        }
    }

    /// Finds the cache's own error inside an [`io::Error`], as a [`crate::BlobReader`] returns it.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns whether the system forbids this process to write. The cache may still be readable then.
    pub(crate) fn forbids_writing(&self) -> bool {
        let source = match self {
            Self::Io { source, .. } => source,
            Self::Memo { source, .. } => match source.as_ref() {
                heed::Error::Io(source) => source,
                _ => return false,
            },
            _ => return false,
        };
        matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Returns what to do about the error, if there is something to do.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some("run the stage that computes it again"),
            Self::Damaged { .. } => Some("run again to recompute it"),
            Self::UnsafeTree { .. } => Some("compute it again with `--force STAGE`"),
            Self::Io { source, .. } => help_of(source),
            Self::Memo { source, .. } => match source.as_ref() {
                heed::Error::Io(source) => help_of(source),
                heed::Error::Mdb(heed::MdbError::Corrupted | heed::MdbError::PageNotFound | heed::MdbError::Invalid) => Some(
                    "the file of the database is damaged. Keep the folder, whose replies may have been paid for: restore it from a backup, \
                     or save what can still be read with `fingerpost cache export FILE`, and name another folder with `--cache`",
                ),
                _ => None,
            },
            Self::NotACache { .. } => Some("name another folder with `--cache`"),
            Self::Format { .. } => Some(
                "name another folder with `--cache`. The replies in this one were paid for: `fingerpost cache export FILE` of the version \
                 that wrote them saves them, and `fingerpost cache import FILE` of this version reads them",
            ),
            Self::ReadOnly { .. } => Some("name a folder that can be written with `--cache`"),
            Self::Busy { .. } => Some("try again when it has ended"),
            Self::Network { .. } | Self::Probe { .. } => Some("name a folder on a local disk with `--cache`"),
            Self::Closed => Some("run again"),
            Self::NotATree { .. } | Self::Copy { .. } | Self::Value { .. } => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match Self::inside(&source) {
            Some(own) => own.clone(),
            None => Self::Io { action, path: path.to_path_buf(), source: Arc::new(source) },
        }
    }

    pub(crate) fn copy(path: &Path, source: io::Error) -> Self {
        match Self::inside(&source) {
            Some(own) => own.clone(),
            None => Self::Copy { path: path.to_path_buf(), source: Arc::new(source) },
        }
    }
}

fn help_of(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some space, or name a folder on another disk with `--cache`; nothing stored before is lost")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("name a folder that this user can read and write with `--cache`")
        }
        _ => None,
    }
}
