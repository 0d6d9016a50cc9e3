//! How much memory a process may still take: what the machine, its control group and the process's own limit leave.

use std::fs;

use sysinfo::{MemoryRefreshKind, System};

/// Memory that is left, in bytes, and what leaves no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    pub(crate) bytes: u64,
    pub(crate) by: &'static str,
}

impl Available {
    /// Asks the system; `None` where it does not say.
    pub(crate) fn now() -> Option<Self> {
        let mut system = System::new();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let machine = Some(system.available_memory()).filter(|bytes| *bytes > 0);
        // What the group has beside its pages of files, which the kernel gives up where they are in the way.
        let group = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
        let left = [("the machine", machine), ("its control group", group), ("`ulimit -v`", address_space())];
        let left = left.into_iter().filter_map(|(by, bytes)| Some(Self { bytes: bytes?, by }));
        left.min_by_key(|available| available.bytes)
    }
}

/// What the limit on addresses leaves, where there is one: Linux refuses an allocation beyond it.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit: u64 =
        limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(used("VmSize:")?))
}

/// Memory that the process has, in bytes, as Linux counts it under a name of `/proc/self/status`.
pub(crate) fn used(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
    Some(kibibytes.parse::<u64>().ok()? * 1024)
}
