//! The smallest change of settings with which a training fits into memory. Takes a training and a number of bytes; gives the change in words.

use super::Candidate;
use crate::{
    models::Modules,
    train::settings::{Adapter, Code, Dtype, Quantization, Training},
};

/// The smallest `max_length` that is proposed.
const SHORTEST: usize = 64;

/// Changed settings, and the changes as a message names them.
#[derive(Clone)]
struct Changed {
    settings: Training,
    words: Vec<String>,
}

impl Changed {
    fn and(&self, settings: Training, words: impl Into<String>) -> Self {
        Self { settings, words: [self.words.as_slice(), &[words.into()]].concat() }
    }

    /// Splits the same step into more and smaller micro-batches.
    fn halved(&self) -> Vec<Self> {
        let halves = std::iter::successors(Some(self.settings.clone()), |before| {
            let batch_size = before.batch_size / 2;
            let times = before.batch_size.div_ceil(batch_size.max(1));
            let gradient_accumulation_steps = before.gradient_accumulation_steps * times;
            (batch_size > 0).then(|| Training { batch_size, gradient_accumulation_steps, ..before.clone() })
        });
        let words = |settings: &Training| {
            let Training { batch_size, gradient_accumulation_steps, .. } = settings;
            format!("`batch_size: {batch_size}` with `gradient_accumulation_steps: {gradient_accumulation_steps}`")
        };
        halves.skip(1).map(|settings| self.and(settings.clone(), words(&settings))).collect()
    }
}

/// Names the smallest change with which the peak is at most `bytes`. Changes are tried in the order of their cost: none to the result, time,
/// shorter rows, fewer trained weights.
pub(super) fn smallest(candidate: &Candidate<'_>, bytes: u64) -> String {
    let start = Changed { settings: candidate.settings.clone(), words: Vec::new() };
    let mut tried = start.halved();
    let mut base = start;
    if !base.settings.gradient_checkpointing {
        base = base.and(Training { gradient_checkpointing: true, ..base.settings.clone() }, "`gradient_checkpointing: true`");
        tried.push(base.clone());
        tried.extend(base.halved());
    }
    let longest = base.settings.max_length.unwrap_or(0);
    for length in std::iter::successors(Some(longest / 2), |length| Some(length / 2)).take_while(|length| *length >= SHORTEST) {
        let shorter = base.and(Training { max_length: Some(length), ..base.settings.clone() }, format!("`max_length: {length}`"));
        tried.push(shorter.clone());
        tried.extend(shorter.halved());
    }
    if base.settings.adapter.is_none() && candidate.start.adapter.is_none() {
        let adapter = Adapter { r: 16, target_modules: Some(Modules::Pattern("all-linear".into())), ..Adapter::default() };
        let words = "`adapter: { r: 16, target_modules: all-linear }`";
        base = base.and(Training { adapter: Some(adapter), ..base.settings.clone() }, words);
        tried.push(base.clone());
        tried.extend(base.halved());
    }
    if base.settings.quantization.is_none() {
        let quantization =
            Quantization { code: Code::Nf4, double_quant: false, compute_dtype: Dtype::Float32, adapter_dtype: Dtype::Float32 };
        let quantised = Training { quantization: Some(quantization), ..base.settings.clone() };
        base = base.and(quantised, "`quantization: { type: nf4 }`");
        tried.push(base.clone());
        tried.extend(base.halved());
    }
    let fits = |changed: &&Changed| candidate.memory(&changed.settings).is_ok_and(|memory| memory.peak() <= bytes);
    match tried.iter().find(fits) {
        Some(changed) => changed.words.join(", and "),
        None => "nothing but a smaller model, or a machine with more memory".to_owned(),
    }
}
