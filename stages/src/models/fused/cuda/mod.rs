//! CUDA devices by their own means. Takes burn's tensors in a device's memory; gives others there.
//!
//! burn's kernels are put together at run time, and the fast ones are chosen by measuring: minutes before the first step of a large model, and not the
//! same choice in each run. So what a training spends its time in is done here, on a stream beside burn's ([`stream`]): products of matrices by NVIDIA's
//! cuBLASLt ([`cublas`]), and kernels of our own (`kernels.cu`, [`launch`]). Where something that this needs is missing, burn computes what it can itself.

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

/// A device's stream with what runs on it.
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
    /// Of each device's own thread; none where something that it needs is missing.
    static SIDE: OnceCell<Option<RefCell<Side>>> = const { OnceCell::new() };
}

/// Does work on the device of a tensor: `work` is called on the device's own thread, where its memory and its context are, and gives work to the stream.
/// Nothing where the work cannot be done.
fn run(tensor: &CubeTensor, work: impl FnOnce(&mut Side) -> Option<()> + Send) -> Option<()> {
    let device = tensor.clone();
    let done = tensor.client.exclusive(move || {
        // Makes the device's context the thread's.
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
