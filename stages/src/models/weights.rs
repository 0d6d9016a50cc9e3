//! A decoder's weights to the bytes of a safetensors file under Hugging Face's names, and back.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::llama::{self, Layer, Llama, LlamaConfig};

/// Writes all weights as f32; the same weights give the same bytes.
pub(super) fn to_bytes(model: &Llama) -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    model.for_each(&mut |name, data: TensorData| {
        let values = data.try_to_vec::<f32>().expect("weights are f32");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.insert(name, (data.shape().to_vec(), bytes));
    });
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes fill the shape");
        (name.as_str(), view)
    });
    // Readers of Hugging Face's files ask for this entry; one entry alone keeps the header's order fixed.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).expect("names are unique and shapes are whole")
}

/// Reads the weights that the configuration asks for.
pub(super) fn from_bytes(config: LlamaConfig, bytes: &[u8]) -> Result<Llama, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let (hidden, head) = (config.hidden_size, config.head_dim);
    let queries = config.num_attention_heads * head;
    let keys = config.num_key_value_heads * head;
    let layers = (0..config.num_hidden_layers)
        .map(|index| {
            let one = |part: &str| tensor::<1>(&file, &llama::layer_name(index, part), [hidden]);
            let two = |part: &str, shape| tensor::<2>(&file, &llama::layer_name(index, part), shape);
            Ok(Layer {
                input_layernorm: one("input_layernorm")?,
                q_proj: two("self_attn.q_proj", [queries, hidden])?,
                k_proj: two("self_attn.k_proj", [keys, hidden])?,
                v_proj: two("self_attn.v_proj", [keys, hidden])?,
                o_proj: two("self_attn.o_proj", [hidden, queries])?,
                post_attention_layernorm: one("post_attention_layernorm")?,
                gate_proj: two("mlp.gate_proj", [config.intermediate_size, hidden])?,
                up_proj: two("mlp.up_proj", [config.intermediate_size, hidden])?,
                down_proj: two("mlp.down_proj", [hidden, config.intermediate_size])?,
            })
        })
        .collect::<Result<_, String>>()?;
    let embed_tokens = tensor(&file, llama::EMBEDDING, [config.vocab_size, hidden])?;
    let norm = tensor(&file, llama::NORM, [hidden])?;
    Ok(Llama::from_parts(config, embed_tokens, layers, norm))
}

fn tensor<const D: usize>(file: &SafeTensors<'_>, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>, String> {
    let view = file.tensor(name).map_err(|error| error.to_string())?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` holds {:?}, not f32", view.dtype()));
    }
    if view.shape() != shape {
        return Err(format!("`{name}` has the shape {:?}, not {shape:?}", view.shape()));
    }
    let values: Vec<f32> = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &llama::device())))
}
