//! CUDA devices without burn's kernels. Takes burn's tensors in a device's memory; gives others there.
//!
//! burn generates its kernels at run time, and chooses fast ones by measuring: this takes minutes before the first step of a large model,
//! and chooses others in each run. So the operations that take most of a training's time are computed here, on a stream beside burn's
//! ([`stream`]): products of matrices by NVIDIA's cuBLASLt ([`cublas`]), and kernels of our own (`kernels.cu`, [`launch`]). Read `operand`
//! and `memory` (tensors on the device) first, then `stream`, `launch` and `cublas`. If something that this needs is missing, burn computes
//! with its own operations.

mod cublas;
mod launch;
mod memory;
mod operand;
mod stream;

use std::cell::{OnceCell, RefCell};

use burn_cubecl::tensor::CubeTensor;

pub(super) use cublas::sum_of_products;
pub(super) use launch::{launch, launch_all};
pub(super) use operand::Operand;

/// A device's stream, and what runs on it.
struct Side {
    stream: stream::Stream,
    products: cublas::Products,
    kernels: launch::Kernels,
}

impl Side {
    fn open() -> Option<Self> {
        Some(Self { stream: stream::Stream::open()?, products: cublas::Products::open()?, kernels: launch::Kernels::open()? })
    }
}

thread_local! {
    /// The stream of each device's own thread; none if something that it needs is missing.
    static SIDE: OnceCell<Option<RefCell<Side>>> = const { OnceCell::new() };
}

/// Runs `work` on the own thread of a tensor's device, which has the device's memory and context. `work` queues operations on the stream. Returns
/// nothing if it fails.
fn run(tensor: &CubeTensor, work: impl FnOnce(&mut Side) -> Option<()> + Send) -> Option<()> {
    let device = tensor.clone();
    let done = tensor.client.exclusive(move || {
        // This makes the device's context the thread's current one.
        let _kept = memory::memory(&device)?;
        SIDE.with(|side| {
            let mut side = side.get_or_init(|| Side::open().map(RefCell::new)).as_ref()?.borrow_mut();
            side.stream.begin()?;
            let done = work(&mut side);
            side.stream.end()?;
            done
        })
    });
    done.ok().flatten()
}
