//! A stream of a device beside those that burn computes on: work in, done behind all that the device was given before and ahead of all that it is given
//! later.

use std::{
    any::Any,
    cell::{OnceCell, RefCell},
    ptr,
};

use burn_cubecl::tensor::CubeTensor;
use cubecl_cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;
use cudarc::driver::sys;

use super::{cublas::Products, launch::Kernels};

/// What burn's CUDA runtime calls itself.
const CUDA: &str = "cuda";

/// A stream with what runs on it.
pub(super) struct Side {
    context: sys::CUcontext,
    pub(super) stream: sys::CUstream,
    before: sys::CUevent,
    after: sys::CUevent,
    pub(super) products: Products,
    pub(super) kernels: Kernels,
}

/// Says whether a tensor is in a CUDA device's memory.
pub(super) fn takes(tensor: &CubeTensor) -> bool {
    tensor.client.name() == CUDA
}

/// A tensor's memory, for as long as work with it is being given to the device.
pub(super) struct Memory {
    pub(super) address: u64,
    _kept: Box<dyn Any>,
}

/// Finds a tensor's memory, on the device's own thread.
pub(super) fn memory(tensor: &CubeTensor) -> Option<Memory> {
    let resource = tensor.client.get_resource::<<CudaRuntime as Runtime>::Server>(tensor.handle.clone()).ok()?;
    Some(Memory { address: resource.resource().ptr, _kept: Box::new(resource) })
}

thread_local! {
    /// Of each device's own thread; none where something that it needs is missing.
    static SIDE: OnceCell<Option<RefCell<Side>>> = const { OnceCell::new() };
}

/// Does work on the device of a tensor: `work` is called on the device's own thread, where its memory and its context are, and gives work to the stream.
/// Nothing where the work cannot be done.
pub(super) fn run(tensor: &CubeTensor, work: impl FnOnce(&mut Side) -> Option<()> + Send) -> Option<()> {
    let device = tensor.clone();
    let done = tensor.client.exclusive(move || {
        // Makes the device's context the thread's.
        let _kept = memory(&device)?;
        SIDE.with(|side| {
            let mut side = side.get_or_init(|| Side::open().map(RefCell::new)).as_ref()?.borrow_mut();
            side.begin()?;
            let done = work(&mut side);
            side.end()?;
            done
        })
    });
    done.ok().flatten()
}

#[expect(unsafe_code, reason = "the driver is called")]
impl Side {
    fn open() -> Option<Self> {
        let (mut context, mut stream) = (ptr::null_mut(), ptr::null_mut());
        let (mut before, mut after) = (ptr::null_mut(), ptr::null_mut());
        let untimed = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        let apart = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: each writes one handle where it is told to; the context is the one that burn computes in.
        unsafe {
            sys::cuCtxGetCurrent(&raw mut context).result().ok()?;
            sys::cuStreamCreate(&raw mut stream, apart).result().ok()?;
            sys::cuEventCreate(&raw mut before, untimed).result().ok()?;
            sys::cuEventCreate(&raw mut after, untimed).result().ok()?;
        }
        if context.is_null() {
            return None;
        }
        Some(Self { context, stream, before, after, products: Products::open()?, kernels: Kernels::open()? })
    }

    fn begin(&self) -> Option<()> {
        // SAFETY: the event, the stream and the context are of one device, and live as long as its thread.
        unsafe {
            sys::cuCtxRecordEvent(self.context, self.before).result().ok()?;
            sys::cuStreamWaitEvent(self.stream, self.before, 0).result().ok()
        }
    }

    fn end(&self) -> Option<()> {
        // SAFETY: as above.
        unsafe {
            sys::cuEventRecord(self.after, self.stream).result().ok()?;
            sys::cuCtxWaitEvent(self.context, self.after).result().ok()
        }
    }
}
