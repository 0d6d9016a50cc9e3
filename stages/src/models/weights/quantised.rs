//! Weights as files store them, dense or in bitsandbytes' NF4. Takes tensors of a file; gives weights of the shapes that an architecture
//! asks for; and back.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use burn::tensor::Device;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    frozen::{Frozen, Half},
    nf4::{NestedScales, Nf4Matrix, Scales},
    safetensors_in::Tensors,
    safetensors_out::Stored,
    weight::{EMBEDDING, HEAD, Weight, weight_of},
};
use crate::models::error::CheckpointError;

/// Suffixes of the tensors that bitsandbytes stores beside a weight's codes, after the weight's name.
const PARTS: [&str; 5] = [".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map", STATE];
pub(crate) const STATE: &str = ".quant_state.bitsandbytes__nf4";

/// The `quant_state` of bitsandbytes, which is JSON in a tensor of bytes.
#[derive(Serialize, Deserialize)]
struct State {
    quant_type: String,
    blocksize: usize,
    /// The type of the values before they were quantised.
    dtype: Option<String>,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested_blocksize: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested_dtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested_offset: Option<f32>,
}

/// Returns whether a configuration has its weights in NF4.
///
/// # Errors
/// The configuration names another quantisation.
pub(crate) fn check(config: &Map<String, Value>) -> Result<bool, String> {
    let Some(settings) = config.get("quantization_config").filter(|value| !value.is_null()) else { return Ok(false) };
    let text = |name: &str| settings.get(name).and_then(Value::as_str);
    if text("quant_method") != Some("bitsandbytes") || settings.get("load_in_4bit") != Some(&Value::Bool(true)) {
        return Err("`quantization_config`: only bitsandbytes' NF4 is read (`load_in_4bit`)".into());
    }
    match text("bnb_4bit_quant_type") {
        Some("nf4") => Ok(true),
        other => {
            Err(format!("`quantization_config.bnb_4bit_quant_type` is `{}`, and only `nf4` is read", other.unwrap_or("fp4")))
        }
    }
}

/// Compares names and shapes of a file's tensors with those that an architecture asks for, before any tensor is read.
pub(crate) fn compare(
    folder: &Path,
    tensors: &Tensors,
    shapes: &BTreeMap<String, Vec<usize>>,
    quantised: bool,
    tied: bool,
) -> Result<(), CheckpointError> {
    let missing: Vec<String> = shapes.keys().filter(|name| !tensors.has(name)).cloned().collect();
    if !missing.is_empty() {
        return Err(CheckpointError::Missing { path: folder.into(), names: missing });
    }
    let belongs = |name: &str| {
        let part = |part: &&str| {
            name.strip_suffix(*part).is_some_and(|weight| shapes.contains_key(weight) && tensors.has(&format!("{weight}{STATE}")))
        };
        // Llama's first checkpoints contain the frequencies of their rotary positions, which follow from `rope_theta`.
        let frequencies = name.ends_with(".rotary_emb.inv_freq");
        shapes.contains_key(name) || frequencies || (tied && name == weight_of(HEAD)) || (quantised && PARTS.iter().any(part))
    };
    let extra: Vec<String> = tensors.names().filter(|name| !belongs(name)).map(str::to_owned).collect();
    if !extra.is_empty() {
        return Err(CheckpointError::Extra { path: folder.into(), names: extra });
    }
    if tied && tensors.has(&weight_of(HEAD)) && !tensors.same(&weight_of(HEAD), &weight_of(EMBEDDING))? {
        let reason = "differs from the embedding, and `tie_word_embeddings` says that they are one".to_owned();
        return Err(tensors.wrong(&weight_of(HEAD), reason));
    }
    let in_codes = |name: &str| quantised && tensors.has(&format!("{name}{STATE}"));
    for (name, shape) in shapes.iter().filter(|(name, _)| !in_codes(name)) {
        let found = tensors.shape(name).unwrap_or_default();
        if found != shape {
            return Err(tensors.wrong(name, format!("has the shape {found:?}, and `config.json` asks for {shape:?}")));
        }
    }
    Ok(())
}

/// Reads a weight.
pub(crate) fn read(tensors: &Tensors, name: &str, shape: &[usize], quantised: bool) -> Result<Weight, CheckpointError> {
    if quantised && tensors.has(&format!("{name}{STATE}")) {
        return Ok(Weight::Frozen(Frozen::Nf4(Arc::new(codes(tensors, name, shape)?))));
    }
    if let Some(half) = tensors.half(name)? {
        return Ok(Weight::Frozen(Frozen::Half(Arc::new(half))));
    }
    Ok(Weight::dense(shape, tensors.values(name)?, &Device::flex()))
}

/// Returns the tensors that a file stores for a weight, by name: codes as in bitsandbytes, 16-bit values unchanged, all others in f32.
pub(crate) fn stored<'a>(name: &str, weight: &'a Weight) -> Vec<(String, Stored<'a>)> {
    match weight {
        Weight::Frozen(Frozen::Nf4(matrix)) => {
            parts(matrix).into_iter().map(|(part, stored)| (format!("{name}{part}"), stored)).collect()
        }
        Weight::Frozen(Frozen::Half(half)) => {
            let dtype = match half.kind {
                Half::Bf16 => Dtype::BF16,
                Half::F16 => Dtype::F16,
            };
            vec![(name.to_owned(), Stored::bytes(dtype, half.shape.clone(), half.bytes.as_slice()))]
        }
        Weight::Vector(_) | Weight::Matrix(_) | Weight::Nf4Tensor(_) => vec![(name.to_owned(), Stored::values_of(weight))],
    }
}

/// Returns codes, scales and `quant_state` of a matrix, each with the suffix of its name.
fn parts(matrix: &Nf4Matrix) -> Vec<(&'static str, Stored<'_>)> {
    let bytes = |bytes: &'_ [u8], shape: Vec<usize>| Stored::bytes(Dtype::U8, shape, bytes.to_vec());
    let mut parts =
        vec![("", bytes(&matrix.packed, vec![matrix.packed.len(), 1])), (".quant_map", Stored::values(&matrix.table))];
    let (mut nested_blocksize, mut nested_offset) = (None, None);
    match &matrix.scales {
        Scales::Plain(scales) => parts.push((".absmax", Stored::values(scales))),
        Scales::Nested(nested) => {
            (nested_blocksize, nested_offset) = (Some(nested.block_size), Some(nested.offset));
            parts.push((".absmax", bytes(&nested.codes, vec![nested.codes.len()])));
            parts.push((".nested_absmax", Stored::values(&nested.absmax)));
            parts.push((".nested_quant_map", Stored::values(&*nested.table)));
        }
    }
    let state = State {
        quant_type: "nf4".into(),
        blocksize: matrix.block_size,
        dtype: Some("float32".into()),
        shape: matrix.shape.to_vec(),
        nested_blocksize,
        nested_dtype: nested_offset.map(|_| "float32".into()),
        nested_offset,
    };
    let state = serde_json::to_vec(&state).expect("finite numbers under names");
    parts.push((STATE, Stored::bytes(Dtype::U8, vec![state.len()], state)));
    parts
}

/// Returns `quantization_config` as transformers writes it. `double_quant` says whether any weight has it.
pub(crate) fn settings(double_quant: bool) -> Value {
    json!({
        "_load_in_4bit": true,
        "_load_in_8bit": false,
        "bnb_4bit_compute_dtype": "float32",
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": double_quant,
        "llm_int8_enable_fp32_cpu_offload": false,
        "llm_int8_has_fp16_weight": false,
        "llm_int8_skip_modules": null,
        "llm_int8_threshold": 6.0,
        "load_in_4bit": true,
        "load_in_8bit": false,
        "quant_method": "bitsandbytes",
    })
}

fn codes(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Nf4Matrix, CheckpointError> {
    let wrong = |reason: String| tensors.wrong(name, reason);
    let state: State = serde_json::from_slice(&tensors.raw(&format!("{name}{STATE}"))?)
        .map_err(|error| wrong(format!("has a `quant_state` that is not understood: {error}")))?;
    if state.quant_type != "nf4" || state.blocksize == 0 {
        return Err(wrong(format!("is in `{}` with blocks of {}", state.quant_type, state.blocksize)));
    }
    let [out, into] = *shape else { return Err(wrong("is a vector in 4 bits".into())) };
    if state.shape != shape {
        return Err(wrong(format!("has the shape {:?}, and `config.json` asks for {shape:?}", state.shape)));
    }
    let packed = tensors.raw(name)?;
    let count = out.checked_mul(into).ok_or_else(|| wrong("is too large".into()))?;
    if packed.len() != count.div_ceil(2) {
        return Err(wrong(format!("has {} bytes for {count} values", packed.len())));
    }
    let blocks = count.div_ceil(state.blocksize);
    let table = tensors.values(&format!("{name}.quant_map"))?;
    let table = table.try_into().map_err(|table: Vec<f32>| wrong(format!("has a `quant_map` of {} values", table.len())))?;
    let absmax = format!("{name}.absmax");
    let (scales, count) = match state.nested_offset {
        None => {
            let scales = tensors.values(&absmax)?;
            let count = scales.len();
            (Scales::Plain(scales), count)
        }
        Some(offset) => {
            let table = tensors.values(&format!("{name}.nested_quant_map"))?;
            let table = table
                .try_into()
                .map_err(|table: Vec<f32>| wrong(format!("has a `nested_quant_map` of {} values", table.len())))?;
            let block_size =
                state.nested_blocksize.filter(|size| *size > 0).ok_or_else(|| wrong("has no `nested_blocksize`".into()))?;
            let (codes, absmax) = (tensors.raw(&absmax)?, tensors.values(&format!("{name}.nested_absmax"))?);
            if absmax.len() != codes.len().div_ceil(block_size) {
                return Err(wrong(format!("has {} scales for {} scales in blocks of {block_size}", absmax.len(), codes.len())));
            }
            let count = codes.len();
            (Scales::Nested(NestedScales { codes, absmax, offset, block_size, table }), count)
        }
    };
    if count != blocks {
        return Err(wrong(format!("has {count} scales for {blocks} blocks")));
    }
    Ok(Nf4Matrix { shape: [out, into], packed, scales, block_size: state.blocksize, table })
}
