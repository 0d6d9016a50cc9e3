//! The cache's folder. Takes a path; gives the folder, created or checked to be a cache of this version.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{digest::Digest, error::CacheError, mount};

/// Version of the layout and of everything in it. Raising it makes older caches refuse to open.
pub(crate) const FORMAT: &str = "1";

const FORMAT_FILE: &str = "format";
const TAG_FILE: &str = "CACHEDIR.TAG";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This file marks a cache folder of fingerpost, so that backup programs may skip it; see https://bford.info/cachedir/\n";
const IGNORE_FILE: &str = ".gitignore";
const FOLDERS: [&str; 6] = ["blobs", "memo", "locks", "owners", "tmp", "damaged"];

/// The cache's folder, with the paths of everything in it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
}

impl Folder {
    /// Creates the folder, or checks that it is a cache of this format, on a file system that can hold one.
    pub(crate) fn open(path: &Path) -> Result<Self, CacheError> {
        make(path)?;
        let root = located(path)?;
        if !is_cache(&root)? {
            refuse_other_content(&root)?;
            write_whole(&root.join(TAG_FILE), TAG.as_bytes())?;
            write_whole(&root.join(IGNORE_FILE), b"*\n")?;
            write_whole(&root.join(FORMAT_FILE), format!("{FORMAT}\n").as_bytes())?;
        }
        for name in FOLDERS {
            make(&root.join(name))?;
        }
        Ok(Self { root })
    }

    /// Finds a cache of this format without writing anything; `None` where the folder has none.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, CacheError> {
        let root = located(path)?;
        Ok(is_cache(&root)?.then_some(Self { root }))
    }

    /// Returns the two paths that a blob may have: plain and packed.
    pub(crate) fn blob(&self, digest: &Digest) -> (PathBuf, PathBuf) {
        let text = digest.to_string();
        let fan = self.blobs().join(&text[..2]);
        (fan.join(&text[2..]), fan.join(format!("{}.zst", &text[2..])))
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn memo(&self) -> PathBuf {
        self.root.join("memo")
    }

    pub(crate) fn lock(&self, key: &Digest) -> PathBuf {
        self.root.join("locks").join(key.to_string())
    }

    pub(crate) fn owners(&self) -> PathBuf {
        self.root.join("owners")
    }

    pub(crate) fn owner(&self, name: &str) -> PathBuf {
        self.owners().join(name)
    }

    pub(crate) fn temporary(&self, owner: &str) -> PathBuf {
        self.root.join("tmp").join(owner)
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }
}

/// Returns a folder's path without links, and refuses a network file system.
fn located(path: &Path) -> Result<PathBuf, CacheError> {
    let root = path.canonicalize().map_err(|error| CacheError::io("open", path, error))?;
    match mount::of(&root) {
        Some(mount) if mount.is_network() => Err(CacheError::Network { path: root, mount: mount.point, kind: mount.kind }),
        _ => Ok(root),
    }
}

/// Returns whether a folder holds a cache; refuses one of another format.
fn is_cache(root: &Path) -> Result<bool, CacheError> {
    let format = root.join(FORMAT_FILE);
    match fs::read_to_string(&format) {
        Ok(found) if found.trim() == FORMAT => Ok(true),
        Ok(found) => Err(CacheError::Format { path: root.to_path_buf(), found: found.trim().to_owned(), known: FORMAT }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CacheError::io("read", &format, error)),
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Creates a folder that only its owner can read, because replies may contain what people wrote.
pub(crate) fn make(path: &Path) -> Result<(), CacheError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| CacheError::io("create the folder", path, error))
}

/// Syncs a folder, so that a rename in it survives a power cut.
pub(crate) fn sync(path: &Path) -> Result<(), CacheError> {
    if cfg!(unix) {
        fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| CacheError::io("sync", path, error))?;
    }
    Ok(())
}

/// Refuses a folder that has anything but a half-made cache in it: it belongs to somebody else.
fn refuse_other_content(root: &Path) -> Result<(), CacheError> {
    let entries = fs::read_dir(root).map_err(|error| CacheError::io("read", root, error))?;
    for entry in entries {
        let name = entry.map_err(|error| CacheError::io("read", root, error))?.file_name();
        let known = [TAG_FILE, IGNORE_FILE, FORMAT_FILE].iter().chain(&FOLDERS).any(|known| name == *known);
        // Another process may be creating the cache right now, file by file.
        if !known && !name.to_string_lossy().starts_with(".tmp") {
            return Err(CacheError::NotACache { path: root.to_path_buf() });
        }
    }
    Ok(())
}

fn write_whole(path: &Path, content: &[u8]) -> Result<(), CacheError> {
    let folder = path.parent().expect("a file of the cache lies in its folder");
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| CacheError::io("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_tagged_and_private() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(&scratch.path().join("a/b")).unwrap();
        let tag = fs::read_to_string(folder.root.join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
        assert_eq!(fs::read_to_string(folder.root.join("format")).unwrap(), "1\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&folder.root).unwrap().permissions().mode() & 0o777, 0o700);
        }
        Folder::open(&folder.root).unwrap();
    }

    #[test]
    fn a_folder_of_another_format_is_refused_and_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("format"), "9\n").unwrap();
        let error = Folder::open(scratch.path()).unwrap_err();
        assert!(error.to_string().contains("has format `9`, and this program reads format `1`"), "{error}");
        assert!(error.help().unwrap().contains("--cache"), "{error}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("thesis.tex"), "").unwrap();
        let error = Folder::open(scratch.path()).unwrap_err();
        assert!(matches!(error, CacheError::NotACache { .. }), "{error}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_is_a_file_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        let message = Folder::open(&file).unwrap_err().to_string();
        assert!(message.starts_with("cannot create the folder `"), "{message}");
    }
}
