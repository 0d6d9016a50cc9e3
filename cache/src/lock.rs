//! File locks. Takes a path; gives a lock that the kernel frees when its process ends, however it ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::CacheError,
    folder::{self, Folder},
};

/// The right to run one stage; other processes and threads wait. Freed when dropped.
#[derive(Debug)]
pub struct StageLock {
    _file: LockedFile,
}

impl StageLock {
    pub(crate) fn wait(path: &Path) -> Result<Self, CacheError> {
        LockedFile::wait(path).map(|file| Self { _file: file })
    }

    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>, CacheError> {
        Ok(LockedFile::attempt(path)?.map(|file| Self { _file: file }))
    }
}

/// A file that is locked, and removed when dropped.
#[derive(Debug)]
pub(crate) struct LockedFile {
    path: PathBuf,
    _file: File,
}

impl LockedFile {
    pub(crate) fn wait(path: &Path) -> Result<Self, CacheError> {
        loop {
            let file = open(path)?;
            file.lock().map_err(|error| CacheError::io("lock", path, error))?;
            if still_there(&file, path) {
                return Ok(Self { path: path.to_path_buf(), _file: file });
            }
        }
    }

    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>, CacheError> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) if still_there(&file, path) => {
                    return Ok(Some(Self { path: path.to_path_buf(), _file: file }));
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", path, error)),
            }
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // The file is removed before it is unlocked, so that nobody can lock this path in between. Where `still_there` cannot
        // compare files, the file stays: removing it would let two processes lock two files of one name.
        if cfg!(unix) {
            // The next process finds a file that cannot be removed unlocked, which is all that matters.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn open(path: &Path) -> Result<File, CacheError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| CacheError::io("create the lock", path, error))
}

/// Returns whether the path still names the locked file: its last holder may have removed it after this process opened it.
#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(locked), Ok(named)) => (locked.dev(), locked.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn still_there(_: &File, _: &Path) -> bool {
    true
}

/// A process that uses the cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// Name of its machine or container.
    pub host: String,
    /// Its process ID on that machine.
    pub pid: u32,
    /// When it opened the cache, in milliseconds since 1970. A later process may get the same ID, but not the same ID and time.
    pub started: u64,
}

impl Owner {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.host, self.pid, self.started)
    }

    /// Returns whether the process still runs: whether its file is locked, which is right for other containers and reused IDs too.
    pub(crate) fn is_alive(&self, folder: &Folder) -> bool {
        let path = folder.owner(&self.name());
        // On an error the process counts as alive, so that nobody's claim is taken away.
        path.exists() && !matches!(LockedFile::attempt(&path), Ok(Some(_)))
    }
}

/// This process as other processes see it: a locked file, and a folder for its temporary files.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(crate) owner: Owner,
    pub(crate) temporary: PathBuf,
    _file: LockedFile,
}

impl Presence {
    pub(crate) fn announce(folder: &Folder) -> Result<Self, CacheError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut owner =
            Owner { host: host(), pid: std::process::id(), started: u64::try_from(since.as_millis()).unwrap_or_default() };
        loop {
            if let Some(file) = LockedFile::attempt(&folder.owner(&owner.name()))? {
                let temporary = folder.temporary(&owner.name());
                folder::make(&temporary)?;
                return Ok(Self { owner, temporary, _file: file });
            }
            owner.started += 1;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process that sweeps.
        drop(fs::remove_dir_all(&self.temporary));
    }
}

/// The other processes that have the cache open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) count: u64,
    /// When the first of them opened it, in milliseconds since 1970.
    pub(crate) since: Option<u64>,
}

/// Finds the other processes that have the cache open now.
pub(crate) fn others(folder: &Folder, us: &Owner) -> Result<Others, CacheError> {
    let mut others = Others::default();
    let path = folder.owners();
    for entry in fs::read_dir(&path).map_err(|error| CacheError::io("read", &path, error))? {
        let entry = entry.map_err(|error| CacheError::io("read", &path, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != us.name() && LockedFile::attempt(&entry.path())?.is_none() {
            // This program writes no name without a time; whoever locked such a file may have had the cache open for ever.
            let started = name.rsplit_once('-').and_then(|(_, started)| started.parse().ok()).unwrap_or(0);
            others.since = Some(others.since.map_or(started, |since| since.min(started)));
            others.count += 1;
        }
    }
    Ok(others)
}

/// Removes the temporary files of dead processes; with `dry`, only counts them. Returns their size in bytes.
pub(crate) fn sweep(folder: &Folder, dry: bool) -> Result<u64, CacheError> {
    let path = folder.temporary("");
    let mut freed = 0;
    for entry in fs::read_dir(&path).map_err(|error| CacheError::io("read", &path, error))? {
        let entry = entry.map_err(|error| CacheError::io("read", &path, error))?;
        // Locking the file of a dead process keeps others from sweeping the same folder; dropping the lock removes the file.
        let Some(_dead) = LockedFile::attempt(&folder.owner(&entry.file_name().to_string_lossy()))? else {
            continue;
        };
        freed += size(&entry.path());
        if !dry {
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CacheError::io("remove", &entry.path(), error));
                }
                _ => {}
            }
        }
    }
    Ok(freed)
}

fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[expect(clippy::disallowed_methods, reason = "the host's name tells owners apart and is in no key")]
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")))
        .unwrap_or_else(|_| "localhost".to_owned());
    // It becomes part of a file name.
    name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_holder_at_a_time_though_the_file_is_removed_between() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let (inside, entries) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = StageLock::wait(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        entries.fetch_add(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(entries.into_inner(), 1600);
        assert!(!path.exists(), "the last holder removes the file");
    }

    #[test]
    fn a_held_lock_is_not_given_twice() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let held = StageLock::attempt(&path).unwrap();
        assert!(held.is_some());
        assert!(StageLock::attempt(&path).unwrap().is_none());
        drop(held);
        assert!(StageLock::attempt(&path).unwrap().is_some());
    }

    #[test]
    fn the_dead_are_swept_and_the_living_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let living = Presence::announce(&folder).unwrap();
        let dead = Owner { host: "here".into(), pid: 1, started: 1 };
        fs::write(folder.owner(&dead.name()), "").unwrap();
        fs::create_dir(folder.temporary(&dead.name())).unwrap();
        fs::write(folder.temporary(&dead.name()).join("half"), "12345").unwrap();

        assert_eq!(sweep(&folder, true).unwrap(), 5);
        assert!(folder.temporary(&dead.name()).exists());
        assert_eq!(sweep(&folder, false).unwrap(), 5);
        assert!(!folder.owner(&dead.name()).exists() && !folder.temporary(&dead.name()).exists());
        assert!(living.temporary.exists());
        assert!(living.owner.is_alive(&folder) && !dead.is_alive(&folder));
    }

    #[test]
    fn the_first_of_the_others_is_found_and_the_dead_are_none() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let us = Presence::announce(&folder).unwrap();
        assert_eq!(others(&folder, &us.owner).unwrap(), Others::default());
        let other = Presence::announce(&folder).unwrap();
        let dead = Owner { host: "here".into(), pid: 1, started: 1 };
        fs::write(folder.owner(&dead.name()), "").unwrap();
        assert_eq!(others(&folder, &us.owner).unwrap(), Others { count: 1, since: Some(other.owner.started) });
        assert_eq!(others(&folder, &other.owner).unwrap(), Others { count: 1, since: Some(us.owner.started) });
    }
}
