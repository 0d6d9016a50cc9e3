//! Devices that models are computed on. Takes `auto`, `cpu`, `cuda` or `cuda:N`; gives burn's device, or a sentence that says what is missing.
//!
//! CUDA is used only after its driver, its compiler and its headers were found, since burn would panic on a thread of its own without
//! them. This file has the names of devices and the errors; `cuda` looks for CUDA devices and opens them.

mod cuda;

use std::{fmt, str::FromStr, sync::OnceLock};

use burn::tensor::Device;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The device that a setting names. It changes results by rounding only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The first CUDA device, or the processor if there is none.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A CUDA device by its number.
    Cuda(usize),
    /// The first device that Vulkan offers, which may be the processor. It is for tests of code for devices.
    #[cfg(feature = "vulkan")]
    Vulkan,
}

/// Why a device cannot be used. [`DeviceError::help`] says what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// The program is built without CUDA.
    #[error("`device: {0}`: this program is built without CUDA")]
    NotBuilt(DeviceName),
    /// There is no such device.
    #[error("`device: {name}`: {reason}")]
    Absent {
        /// The device that was asked for.
        name: DeviceName,
        /// What is missing.
        reason: String,
    },
    /// There is a device, and something that it needs is missing.
    #[error("`device: {name}`: a CUDA device is there, and {reason}")]
    Unusable {
        /// The device that was asked for.
        name: DeviceName,
        /// What is missing.
        reason: &'static str,
        /// What to do.
        mend: &'static str,
    },
}

impl DeviceError {
    /// Returns a sentence that says what to do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NotBuilt(_) => "build it with `--features cuda`, or take `device: cpu`".to_owned(),
            Self::Absent { .. } => "take `device: cpu` to run on the processor".to_owned(),
            Self::Unusable { mend, .. } => format!("{mend}, or take `device: cpu` to run on the processor"),
        }
    }
}

impl DeviceName {
    /// Opens the device, without gradients.
    ///
    /// # Errors
    /// The device is missing or fails a test computation. For `auto`, a missing device is no error: the processor is used.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Auto => match cuda::open(self, 0) {
                Err(DeviceError::NotBuilt(_) | DeviceError::Absent { .. }) => Ok(Device::flex()),
                found => found,
            },
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda(number) => cuda::open(self, number),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => vulkan(),
        }
    }

    /// Checks whether the device is there, without a computation on it.
    ///
    /// # Errors
    /// As [`DeviceName::open`], except that a device that cannot compute is not noticed.
    pub fn look(self) -> Result<(), DeviceError> {
        match self {
            Self::Auto => match cuda::look(self, 0) {
                Err(DeviceError::NotBuilt(_) | DeviceError::Absent { .. }) => Ok(()),
                found => found,
            },
            Self::Cpu => Ok(()),
            Self::Cuda(number) => cuda::look(self, number),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => vulkan().map(drop),
        }
    }

    /// Returns whether the device is another than the processor, without opening it.
    pub(crate) fn is_accelerator(self) -> bool {
        // The check loads libraries of hundreds of megabytes, and estimates of memory need the answer often.
        static FOUND: OnceLock<bool> = OnceLock::new();
        match self {
            Self::Auto => *FOUND.get_or_init(|| cuda::look(self, 0).is_ok()),
            Self::Cpu => false,
            Self::Cuda(_) => true,
            #[cfg(feature = "vulkan")]
            Self::Vulkan => true,
        }
    }

    /// Returns the number of bytes that the opened device has for further tensors: its free memory, and unused memory of its allocator. Returns
    /// nothing for the processor, or if the device does not say.
    pub(crate) fn room(self, opened: &Device) -> Option<u64> {
        let free = match self {
            Self::Auto => cuda::free(0),
            Self::Cuda(number) => cuda::free(number),
            Self::Cpu => None,
            #[cfg(feature = "vulkan")]
            Self::Vulkan => None,
        };
        let usage = opened.memory_pool_usage();
        Some(free? + usage.map_or(0, |usage| usage.bytes_reserved.saturating_sub(usage.bytes_in_use)))
    }

    /// Returns the name of the device that is opened, which is never `auto`.
    ///
    /// # Errors
    /// As [`DeviceName::open`].
    pub fn settled(self) -> Result<Self, DeviceError> {
        match self {
            Self::Auto => self.open().map(|device| if is_processor(&device) { Self::Cpu } else { Self::Cuda(0) }),
            named => Ok(named),
        }
    }
}

/// Returns whether a device is the processor, whose memory this program accesses directly.
pub(crate) fn is_processor(device: &Device) -> bool {
    #[cfg(test)]
    if pretended::is_on() {
        return false;
    }
    *device == Device::flex()
}

/// In tests the processor may stand in for another device, so that its own tensors take the code paths of another device's.
#[cfg(test)]
pub(crate) mod pretended {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn is_on() -> bool {
        ON.get()
    }

    /// Computes something on this thread with the processor standing in for another device.
    pub(crate) fn on_pretended_device<R>(compute: impl FnOnce() -> R) -> R {
        ON.set(true);
        let result = compute();
        ON.set(false);
        result
    }
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Result<Device, DeviceError> {
    let absent = || DeviceError::Absent { name: DeviceName::Vulkan, reason: "Vulkan finds no adapter".into() };
    answers(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)).ok_or_else(absent)
}

/// Returns the device if it can add two numbers. If something that its first kernel needs is missing, burn panics, and nothing is returned.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn answers(device: Device) -> Option<Device> {
    let sum = || {
        let one = burn::tensor::Tensor::<1>::ones([1], &device);
        (one.clone() + one).try_into_data().ok().and_then(|data| data.try_into_vec::<f32>().ok())
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(sum)).ok().flatten();
    (found.as_deref() == Some(&[2.0])).then_some(device)
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(0) => formatter.write_str("cuda"),
            Self::Cuda(number) => write!(formatter, "cuda:{number}"),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => formatter.write_str("vulkan"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let unknown = || format!("`{word}` is not a device: expected `auto`, `cpu`, `cuda` or `cuda:N`");
        match word {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            #[cfg(feature = "vulkan")]
            "vulkan" => Ok(Self::Vulkan),
            _ => match word.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(unknown()),
            },
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl JsonSchema for DeviceName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written_back() {
        for word in ["auto", "cpu", "cuda", "cuda:3"] {
            assert_eq!(word.parse::<DeviceName>().unwrap().to_string(), word);
        }
        assert_eq!("cuda:0".parse(), Ok(DeviceName::Cuda(0)));
        for word in ["", "gpu", "cuda:", "cuda:-1", "cuda:one", "cuda0", "CPU"] {
            assert!(word.parse::<DeviceName>().unwrap_err().contains("`cuda:N`"), "{word}");
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        assert!(is_processor(&DeviceName::Cpu.open().unwrap()));
        assert!(DeviceName::Auto.open().is_ok());
        assert_eq!([DeviceName::Auto, DeviceName::Cpu].map(DeviceName::look), [Ok(()), Ok(())]);
        assert!([DeviceName::Cpu, DeviceName::Cuda(0)].contains(&DeviceName::Auto.settled().unwrap()));
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_that_says_what_to_do() {
        let error = DeviceName::Cuda(999).look().unwrap_err();
        assert_eq!(DeviceName::Cuda(999).open().unwrap_err(), error);
        let text = error.to_string();
        assert!(error.help().contains("`device: cpu`") && text.contains("`device: cuda:999`"), "{text}");
        assert_eq!(matches!(error, DeviceError::NotBuilt(_)), cfg!(not(feature = "cuda")), "{text}");
    }
}
