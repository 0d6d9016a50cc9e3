//! Mounts. Takes a path; gives the file system that it lies on.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// File systems that are shared between machines: memory maps and lock files of two machines do not agree there.
const NETWORK: [&str; 14] = [
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.sshfs",
    "gfs2",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// Its type, as the kernel names it.
    pub(crate) kind: String,
}

impl Mount {
    pub(crate) fn is_network(&self) -> bool {
        NETWORK.contains(&self.kind.as_str())
    }
}

/// Finds the mount that an absolute path lies on; `None` on systems other than Linux, which have no table of mounts to read.
pub(crate) fn of(path: &Path) -> Option<Mount> {
    find(&fs::read_to_string("/proc/self/mountinfo").ok()?, path)
}

fn find(table: &str, path: &Path) -> Option<Mount> {
    table
        .lines()
        .filter_map(|line| {
            let (mount, system) = line.split_once(" - ")?;
            let point = PathBuf::from(unescape(mount.split(' ').nth(4)?));
            let kind = system.split(' ').next()?.to_owned();
            path.starts_with(&point).then_some(Mount { point, kind })
        })
        // The deepest mount holds the path; of several mounts on one point, the last.
        .max_by_key(|mount| mount.point.components().count())
}

/// Replaces the kernel's escapes in a path, such as `\040` for a space.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
23 22 0:21 / /home rw shared:3 - nfs4 server:/home rw
24 23 0:22 / /home/ann/fast\\040disk rw - xfs /dev/sdb rw
25 22 0:23 / /tmp rw - ext4 /dev/sdc rw
26 25 0:24 / /tmp rw - tmpfs tmpfs rw";

    #[test]
    fn the_deepest_and_last_mount_holds_a_path() {
        for (path, point, kind, network) in [
            ("/srv", "/", "ext4", false),
            ("/home/ann", "/home", "nfs4", true),
            ("/homes", "/", "ext4", false),
            ("/home/ann/fast disk/cache", "/home/ann/fast disk", "xfs", false),
            ("/tmp/x", "/tmp", "tmpfs", false),
        ] {
            let mount = find(TABLE, Path::new(path)).unwrap();
            assert_eq!((mount.point.as_path(), mount.kind.as_str()), (Path::new(point), kind), "{path}");
            assert_eq!(mount.is_network(), network, "{path}");
        }
    }
}
