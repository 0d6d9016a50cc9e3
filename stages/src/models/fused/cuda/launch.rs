//! Kernels of our own (`kernels.cu`), compiled for the device when the program runs. Takes tensors and numbers; gives tensors.
#![expect(unsafe_code, reason = "kernels are loaded and launched by the driver")]

use std::{
    collections::HashMap,
    ffi::{CString, c_void},
    ptr,
};

use burn::tensor::DType;
use burn_cubecl::{ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cudarc::{
    driver::sys,
    nvrtc::{CompileOptions, compile_ptx_with_opts},
};

use super::{Side, memory::memory, operand::Operand, run};
use crate::models::fused::device::kernel::Launch;

/// Number of bytes that a thread reads at once. Addresses have to be multiples of it.
const ALIGNMENT: u64 = 16;

/// The compiled kernels of one device, for bfloat16 and for f32.
pub(super) struct Kernels {
    modules: [sys::CUmodule; 2],
    functions: HashMap<(&'static str, DType), sys::CUfunction>,
}

impl Kernels {
    /// Compiles the kernels for the device of the thread's current context.
    pub(super) fn open() -> Option<Self> {
        let (mut device, mut major, mut minor) = (0, 0, 0);
        let [of_major, of_minor] = [
            sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        ];
        // SAFETY: each call writes one number to the pointer that it is given.
        unsafe {
            sys::cuCtxGetDevice(&raw mut device).result().ok()?;
            sys::cuDeviceGetAttribute(&raw mut major, of_major, device).result().ok()?;
            sys::cuDeviceGetAttribute(&raw mut minor, of_minor, device).result().ok()?;
        }
        let module = |values: &str| {
            let options = CompileOptions {
                include_paths: vec![cubecl_cuda::install::include_path().to_string_lossy().into_owned()],
                options: vec![format!("--gpu-architecture=compute_{major}{minor}"), format!("-DVALUE={values}")],
                ..CompileOptions::default()
            };
            let compiled = compile_ptx_with_opts(include_str!("kernels.cu"), options).ok()?;
            let (source, mut module) = (CString::new(compiled.to_src()).ok()?, ptr::null_mut());
            // SAFETY: the text ends with a zero and is read once.
            unsafe { sys::cuModuleLoadData(&raw mut module, source.as_ptr().cast()).result().ok()? };
            Some(module)
        };
        Some(Self { modules: [module("__nv_bfloat16")?, module("float")?], functions: HashMap::new() })
    }

    fn function(&mut self, kernel: &'static str, values: DType) -> Option<sys::CUfunction> {
        if let Some(&function) = self.functions.get(&(kernel, values)) {
            return Some(function);
        }
        let module = match values {
            DType::BF16 => self.modules[0],
            DType::F32 => self.modules[1],
            _ => return None,
        };
        let (name, mut function) = (CString::new(kernel).ok()?, ptr::null_mut());
        // SAFETY: the module is never unloaded.
        unsafe { sys::cuModuleGetFunction(&raw mut function, module, name.as_ptr()).result().ok()? };
        self.functions.insert((kernel, values), function);
        Some(function)
    }
}

/// Launches kernels, one after another, and returns the outputs of each. Returns nothing if one cannot run.
pub(in super::super) fn launch_all<const N: usize>(calls: Vec<(Launch<'_>, Vec<Operand>)>) -> Option<Vec<[Operand; N]>> {
    let mut ready: Vec<(Launch<'_>, Vec<CubeTensor>)> = Vec::with_capacity(calls.len());
    for (call, inputs) in calls {
        let mut tensors: Vec<CubeTensor> = inputs.into_iter().map(Operand::dense).collect();
        let place = tensors.first()?.clone();
        tensors.extend(call.outputs.iter().map(|(shape, dtype)| {
            empty_device_contiguous_dtype(place.client.clone(), place.device.clone(), shape.clone(), *dtype)
        }));
        ready.push((call, tensors));
    }
    let (_, tensors) = ready.first()?;
    run(&tensors[0], |side| ready.iter().try_for_each(|(call, tensors)| call.give(side, tensors)))?;
    let outputs = |(call, mut tensors): (Launch<'_>, Vec<CubeTensor>)| {
        let outputs: Vec<Operand> = tensors.split_off(tensors.len() - call.outputs.len()).into_iter().map(Operand).collect();
        outputs.try_into().ok()
    };
    ready.into_iter().map(outputs).collect()
}

/// Launches one kernel.
pub(in super::super) fn launch<const N: usize>(call: Launch<'_>, inputs: Vec<Operand>) -> Option<[Operand; N]> {
    launch_all(vec![(call, inputs)])?.pop()
}

impl Launch<'_> {
    fn give(&self, side: &mut Side, tensors: &[CubeTensor]) -> Option<()> {
        let integers = self.integers.iter().map(|&number| i32::try_from(number).ok()).collect::<Option<Vec<_>>>()?;
        let blocks = u32::try_from(self.blocks).ok()?;
        let function = side.kernels.function(self.kernel, self.values)?;
        let memories = tensors.iter().map(memory).collect::<Option<Vec<_>>>()?;
        let addresses: Vec<u64> = memories.iter().map(|memory| memory.address).collect();
        if addresses.iter().any(|address| !address.is_multiple_of(ALIGNMENT)) {
            return None;
        }
        let mut parameters: Vec<*mut c_void> = addresses.iter().map(|address| ptr::from_ref(address).cast_mut().cast()).collect();
        parameters.extend(integers.iter().map(|number| ptr::from_ref(number).cast_mut().cast::<c_void>()));
        parameters.extend(self.floats.iter().map(|number| ptr::from_ref(number).cast_mut().cast::<c_void>()));
        let ([across, down], parameters) = (self.threads, parameters.as_mut_ptr());
        // SAFETY: callers pass each kernel its own parameters, of contiguous tensors of the sizes that they pass; the driver copies the
        // parameters, and the memory is kept alive until the kernel is queued on the stream.
        unsafe {
            sys::cuLaunchKernel(function, blocks, 1, 1, across, down, 1, 0, side.stream.raw, parameters, ptr::null_mut())
                .result()
                .ok()
        }
    }
}
