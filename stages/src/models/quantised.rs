//! Weights as files have them, dense or in bitsandbytes' NF4: tensors of a file in, weights of the shape that an architecture asks for out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::decoder::Model;
use super::error::CheckpointError;
use super::nf4::{NestedScales, Nf4Matrix, nested_scales};
use super::parameters::{EMBEDDING, HEAD, Weight, weight_of};
use super::weights::Tensors;

/// What bitsandbytes keeps beside a weight's codes, after the weight's name.
const PARTS: [&str; 5] = [".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map", STATE];
const STATE: &str = ".quant_state.bitsandbytes__nf4";

/// `quant_state`, as JSON in a tensor of bytes.
#[derive(Deserialize)]
struct State {
    quant_type: String,
    blocksize: usize,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f32>,
}

/// Says whether a configuration has its weights in NF4, and refuses other quantisations.
pub(super) fn check(config: &Map<String, Value>) -> Result<bool, String> {
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

/// Compares names and shapes of what is there with what an architecture asks for, before anything is read.
pub(super) fn compare(
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
        // Llama's first checkpoints carry the frequencies of their rotary positions, which follow from `rope_theta`.
        let frequencies = name.ends_with(".rotary_emb.inv_freq");
        shapes.contains_key(name) || frequencies || (tied && name == weight_of(HEAD)) || (quantised && PARTS.iter().any(part))
    };
    let extra: Vec<String> = tensors.names().filter(|name| !belongs(name)).map(str::to_owned).collect();
    if !extra.is_empty() {
        return Err(CheckpointError::Extra { path: folder.into(), names: extra });
    }
    if tied && tensors.has(&weight_of(HEAD)) && tensors.values(&weight_of(HEAD))? != tensors.values(&weight_of(EMBEDDING))? {
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
pub(super) fn read(tensors: &Tensors, name: &str, shape: &[usize], quantised: bool) -> Result<Weight, CheckpointError> {
    if quantised && tensors.has(&format!("{name}{STATE}")) {
        return Ok(Weight::Nf4(Arc::new(codes(tensors, name, shape)?)));
    }
    Ok(Weight::dense(shape, tensors.values(name)?, &Device::flex()))
}

impl Model {
    /// Returns the model with all linear layers but the head in NF4, as bitsandbytes loads it for `QLoRA`: blocks of 64 values, their scales
    /// quantised again if `double_quant`.
    #[must_use]
    pub fn quantised(&self, double_quant: bool) -> Self {
        const BLOCK: usize = 64;
        let mut parameters = self.parameters().clone();
        for (name, weight) in self.parameters().iter() {
            let ends = [weight_of(EMBEDDING), weight_of(HEAD)];
            let Weight::Matrix(matrix) = weight else { continue };
            if ends.iter().any(|end| end == name) {
                continue;
            }
            let values: Vec<f32> = matrix.clone().into_data_dtype(DType::F32).try_into_vec().expect("converted to f32");
            let mut quantised = Nf4Matrix::quantise(&values, matrix.dims(), BLOCK);
            if double_quant {
                quantised.absmax = NestedScales::quantise(&quantised.absmax).dequantise();
            }
            parameters.insert(name.to_owned(), Weight::Nf4(Arc::new(quantised)).on(self.parameters().device()));
        }
        self.with_parameters(parameters)
    }
}

fn codes(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Nf4Matrix, CheckpointError> {
    let wrong = |reason: String| tensors.wrong(name, reason);
    let state: State = serde_json::from_slice(tensors.raw(&format!("{name}{STATE}"))?)
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
    let scales = format!("{name}.absmax");
    let absmax = match state.nested_offset {
        None => tensors.values(&scales)?,
        Some(offset) => {
            let map = tensors.values(&format!("{name}.nested_quant_map"))?;
            let map: [f32; 256] =
                map.try_into().map_err(|map: Vec<f32>| wrong(format!("has a `nested_quant_map` of {} values", map.len())))?;
            let block =
                state.nested_blocksize.filter(|size| *size > 0).ok_or_else(|| wrong("has no `nested_blocksize`".into()))?;
            nested_scales(tensors.raw(&scales)?, &tensors.values(&format!("{name}.nested_absmax"))?, offset, block, &map)
        }
    };
    if absmax.len() != blocks {
        return Err(wrong(format!("has {} scales for {blocks} blocks", absmax.len())));
    }
    Ok(Nf4Matrix { shape: [out, into], packed: packed.to_vec(), absmax, block_size: state.blocksize, table })
}
