//! Memory of activations and logits on another device than the processor. Takes sizes and settings; gives an estimate with both.
//!
//! With gemma-2b's shapes in bfloat16 with `LoRA` of rank 16 on all projections, `gpu_speed` reports the memory of the device's allocator in
//! MiB: 8 rows of 1,024 tokens 26,042 (estimated 24,673 and 1,536 for free pages); on 4 bits with gradient checkpointing, a row of 512,
//! 4,012 (estimated 3,079 and 1,026).

use super::{Memory, Sizes, sizes::F32};
use crate::train::{
    head::on_device,
    settings::{Precision, Training},
};

/// Upper bound of the allocator's free pages; below it, they are estimated as a third of all other memory.
const PAGES: u64 = 1536 << 20;

/// Tables of logits at the same time: the logits and their gradient.
const LOGIT_TABLES: u64 = 2;

/// Adds the activations and logits of a micro-batch to an estimate without them. `tokens` are computed, `targets` of them are learned.
pub(super) fn with_activations(rest: Memory, sizes: &Sizes, settings: &Training, [tokens, targets]: [u64; 2]) -> Memory {
    let number = if settings.precision == Precision::Bf16 { F32 / 2 } else { F32 };
    let mut kept = sizes.norms_on_device.saturating_mul(F32).saturating_add(sizes.others_on_device.saturating_mul(number));
    // Copies of matrices in the number format of products.
    let mut copies = sizes.coded + if number < F32 { sizes.dense } else { 0 };
    if settings.gradient_checkpointing {
        let layers = sizes.layers.max(1);
        (kept, copies) = (sizes.layers * sizes.hidden * F32 + kept / layers, copies / layers);
    }
    let logits = targets.saturating_mul(sizes.vocabulary).min(on_device::LOGITS as u64);
    let memory = Memory {
        activations: tokens.saturating_mul(kept).saturating_add(copies.saturating_mul(number)),
        logits: logits * LOGIT_TABLES * number,
        ..rest
    };
    Memory { pages: (memory.peak() / 3).min(PAGES), ..memory }
}
