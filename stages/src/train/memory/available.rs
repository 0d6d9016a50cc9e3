//! Memory that the process can still allocate, as limited by the machine, its control group and the process's own limit.

use std::fs;

use sysinfo::{MemoryRefreshKind, System};

/// Memory that can be allocated, in bytes, and what limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    pub(crate) bytes: u64,
    pub(crate) by: &'static str,
}

impl Available {
    /// Asks the system; `None` if it does not say.
    pub(crate) fn now() -> Option<Self> {
        let mut system = System::new();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let machine = Some(system.available_memory()).filter(|bytes| *bytes > 0);
        // Pages of files do not count, since the kernel frees them when memory is short.
        let group = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
        let left = [("the machine", machine), ("its control group", group), ("`ulimit -v`", address_space())];
        let left = left.into_iter().filter_map(|(by, bytes)| Some(Self { bytes: bytes?, by }));
        left.min_by_key(|available| available.bytes)
    }
}

/// Returns the memory that the limit of the address space leaves, if there is one. Linux refuses allocations beyond it.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit: u64 =
        limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(used("VmSize:")?))
}

/// Returns the process's memory in bytes, by the name of a line in Linux's `/proc/self/status`.
pub(crate) fn used(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
    Some(kibibytes.parse::<u64>().ok()? * 1024)
}
