//! NVIDIA's devices by number → burn's device, or what is missing for it; in a program without CUDA, that it is without.

use burn::tensor::Device;

use super::{DeviceError, DeviceName};

/// Looks whether the driver, the device and what its kernels are compiled with are there.
#[cfg(not(feature = "cuda"))]
pub(super) fn look(name: DeviceName, _number: usize) -> Result<(), DeviceError> {
    Err(DeviceError::NotBuilt(name))
}

/// Opens a device.
#[cfg(not(feature = "cuda"))]
pub(super) fn open(name: DeviceName, _number: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(name))
}

/// Looks whether the driver, the device and what its kernels are compiled with are there.
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
    // SAFETY: as above, of NVIDIA's compiler of kernels.
    if !unsafe { cudarc::nvrtc::sys::is_culib_present() } {
        let (reason, mend) = ("NVIDIA's compiler of kernels is not", "install `libnvrtc` of the CUDA toolkit");
        return Err(DeviceError::Unusable { name, reason, mend });
    }
    let headers = cubecl_cuda::install::cuda_path().map(|path| path.join("include").join("cuda_fp16.h"));
    if !headers.is_some_and(|path| path.exists()) {
        let reason = "the headers that its kernels need (`cuda_fp16.h`) are not";
        let mend = "install those of the CUDA toolkit, and name its folder by `CUDA_PATH` if it is none of the usual ones";
        return Err(DeviceError::Unusable { name, reason, mend });
    }
    Ok(())
}

/// Opens a device that computes.
#[cfg(feature = "cuda")]
pub(super) fn open(name: DeviceName, number: usize) -> Result<Device, DeviceError> {
    look(name, number)?;
    let (reason, mend) = ("it does not compute", "mend what its driver says above");
    super::answers(Device::cuda(number)).ok_or(DeviceError::Unusable { name, reason, mend })
}
