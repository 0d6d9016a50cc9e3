//! CUDA devices. Takes a number; gives burn's device, or what is missing for it, such as a program built with CUDA.

use burn::tensor::Device;

use super::{DeviceError, DeviceName};
#[cfg(feature = "cuda")]
use crate::models::fused;

/// The first version of the driver that can order a stream after a whole context: 12.5, as CUDA numbers versions.
#[cfg(feature = "cuda")]
const DRIVER: i32 = 12050;

/// Checks whether the driver, the device and the compiler of kernels are there.
#[cfg(not(feature = "cuda"))]
pub(super) fn look(name: DeviceName, _number: usize) -> Result<(), DeviceError> {
    Err(DeviceError::NotBuilt(name))
}

/// Returns the number of free bytes of a device.
#[cfg(not(feature = "cuda"))]
pub(super) fn free(_number: usize) -> Option<u64> {
    None
}

/// Returns the number of free bytes of a device.
#[cfg(feature = "cuda")]
pub(super) fn free(number: usize) -> Option<u64> {
    let (free, _) = cudarc::driver::CudaContext::new(number).ok()?.mem_get_info().ok()?;
    Some(free as u64)
}

/// Opens a device.
#[cfg(not(feature = "cuda"))]
pub(super) fn open(name: DeviceName, _number: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(name))
}

/// Checks whether the driver, the device, the compiler of kernels and the library of matrix products are there.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "a library is loaded to see whether it is there")]
pub(super) fn look(name: DeviceName, number: usize) -> Result<(), DeviceError> {
    let absent = |reason: String| Err(DeviceError::Absent { name, reason });
    // SAFETY: loading NVIDIA's driver runs its own initialisers and nothing else; burn loads the same library a moment later.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return absent("NVIDIA's driver (`libcuda`) is not installed".into());
    }
    let count = match cudarc::driver::CudaContext::device_count() {
        Ok(count) => usize::try_from(count).unwrap_or(0),
        Err(error) => return absent(format!("NVIDIA's driver finds no device ({error:?})")),
    };
    if number >= count {
        return absent(match count {
            0 => "NVIDIA's driver finds no device".into(),
            1 => "NVIDIA's driver finds one device, `cuda:0`".into(),
            _ => format!("NVIDIA's driver finds {count} devices, `cuda:0` to `cuda:{}`", count - 1),
        });
    }
    let unusable = |reason, mend| Err(DeviceError::Unusable { name, reason, mend });
    let mut version = 0;
    // SAFETY: the driver writes one number to the address that it is given.
    if unsafe { cudarc::driver::sys::cuDriverGetVersion(&raw mut version) }.result().is_err() || version < DRIVER {
        return unusable("its driver is older than CUDA 12.5", "update the driver");
    }
    // SAFETY: as above, for NVIDIA's compiler of kernels.
    if !unsafe { cudarc::nvrtc::sys::is_culib_present() } {
        return unusable("NVIDIA's compiler of kernels is not", "install `libnvrtc` of the CUDA toolkit");
    }
    // SAFETY: as above, for NVIDIA's library of matrix products.
    if !unsafe { cudarc::cublaslt::sys::is_culib_present() } {
        return unusable("NVIDIA's products of matrices are not", "install `libcublasLt` of the CUDA toolkit");
    }
    let headers = cubecl_cuda::install::cuda_path().map(|path| path.join("include").join("cuda_fp16.h"));
    if !headers.is_some_and(|path| path.exists()) {
        let mend = "install those of the CUDA toolkit, and name its folder by `CUDA_PATH` if it is in an unusual place";
        return unusable("the headers that its kernels need (`cuda_fp16.h`) are not", mend);
    }
    Ok(())
}

/// Opens a device, if a test computation on it succeeds.
#[cfg(feature = "cuda")]
pub(super) fn open(name: DeviceName, number: usize) -> Result<Device, DeviceError> {
    look(name, number)?;
    let (reason, mend) = ("a test computation failed", "fix the driver error above");
    let device = super::answers(Device::cuda(number)).ok_or(DeviceError::Unusable { name, reason, mend })?;
    if fused::works(&device) {
        return Ok(device);
    }
    let (reason, mend) =
        ("the kernels that were compiled for it do not run", "install the CUDA toolkit that belongs to its driver");
    Err(DeviceError::Unusable { name, reason, mend })
}
