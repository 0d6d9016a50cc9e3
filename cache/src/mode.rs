//! The cache mode: what a run may use of the cache and keep in it (`off`, `read`, `write` or `read-write`).

use std::{fmt, str::FromStr};

/// Says whether results and replies of the cache are used, and new ones kept. Blobs are read and written in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is looked up and nothing is kept.
    Off,
    /// What is in the cache is used; nothing new is kept.
    Read,
    /// Nothing is looked up; what is new is kept.
    Write,
    /// What is in the cache is used, and what is new is kept.
    #[default]
    ReadWrite,
}

impl Mode {
    /// Returns whether what is in the cache is used.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Returns whether what is new is kept.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read-write",
        })
    }
}

/// The refusal of a word that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cache mode; the modes are `off`, `read`, `write`, `read-write`")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::Off, Self::Read, Self::Write, Self::ReadWrite]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_back_as_it_is_written() {
        for mode in [Mode::Off, Mode::Read, Mode::Write, Mode::ReadWrite] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let refusal = "on".parse::<Mode>().unwrap_err().to_string();
        assert_eq!(refusal, "`on` is not a cache mode; the modes are `off`, `read`, `write`, `read-write`");
    }
}
