//! Memory-mapped parts of files. Takes a file; gives its bytes without a copy: the kernel reads a page when it is used, and may free it again.

use std::{fs::File, io};

use memmap2::{Mmap, MmapOptions};

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps `length` bytes from `start` on.
    #[expect(unsafe_code, reason = "mapping a file, so that weights are not in memory twice")]
    pub(crate) fn new(file: &File, start: usize, length: usize) -> io::Result<Self> {
        // SAFETY: the map is read-only. As with all mapped safetensors, the file must not be changed while the model is in use. This program
        // writes checkpoints to other files and renames them, which does not change a mapped file.
        unsafe { MmapOptions::new().offset(start as u64).len(length).map(file) }.map(Self)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
