//! Parts of files in memory without a copy: the kernel reads a page when it is looked at, and may let it go again.

use std::{fs::File, io};

use memmap2::{Mmap, MmapOptions};

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps `length` bytes from `start` on.
    #[expect(unsafe_code, reason = "mapping a file, so that weights are not in memory twice")]
    pub(crate) fn new(file: &File, start: usize, length: usize) -> io::Result<Self> {
        // SAFETY: the map is read only. As everywhere where safetensors are mapped, nobody may change the file while the model is in use:
        // whoever writes checkpoints here writes them aside and renames them, which leaves the mapped file as it was.
        unsafe { MmapOptions::new().offset(start as u64).len(length).map(file) }.map(Self)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
