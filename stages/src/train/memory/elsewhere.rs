//! What passes through another device than the processor: sizes, settings and tokens in; what layers and logits take added to the rest.
//!
//! Of gemma-2b's shapes in bfloat16 with `LoRA` of rank 16 on all projections, `gpu_speed` reports what the device's allocator holds, in MiB: 8 rows
//! of 1,024 tokens 26,042 (estimated 24,673 and 1,536 for pages that are not full); on 4 bits with gradient checkpointing, a row of 512, 4,012
//! (estimated 3,079 and 1,026).

use super::{Memory, Sizes, sizes::F32};
use crate::train::{
    head::on_device,
    settings::{Precision, Training},
};

/// The most that is counted for pages that are not full; a third of all else, where that is less.
const PAGES: u64 = 1536 << 20;

/// Tables of logits that are there at once: themselves and their gradient.
const LOGIT_TABLES: u64 = 2;

/// Adds activations and logits of a micro-batch with so many tokens, so many of them learned.
pub(super) fn passing(rest: Memory, sizes: &Sizes, settings: &Training, [tokens, targets]: [u64; 2]) -> Memory {
    let number = if settings.precision == Precision::Bf16 { F32 / 2 } else { F32 };
    let mut kept = sizes.level.saturating_mul(F32).saturating_add(sizes.between.saturating_mul(number));
    // Matrices as they go into products, where they are held otherwise.
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
