//! A decoder: its `config.json`, its weights and their architecture. Takes tokens; gives logits.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use burn::tensor::{DType, Device, Tensor};
use serde_json::{Map, Value};

use super::{
    architectures::{Architecture, Shapes, architecture},
    batch::Batch,
    config::CONFIG,
    error::{CheckpointError, InputError},
    layer_by_layer::LayerByLayer,
    layers::attention::{Cache, Pass},
    weights::{
        frozen::Frozen,
        nf4::{Nf4Matrix, Scales},
        parameters::Parameters,
        quantised,
        safetensors_in::{self, WEIGHTS},
        safetensors_out::write_tensors,
        storage::Storage,
        weight::{Weight, layer_of},
    },
};
use crate::regular::read_regular;

/// A decoder with its weights.
#[derive(Clone, Debug)]
pub struct Model {
    config: Arc<Map<String, Value>>,
    architecture: Arc<dyn Architecture>,
    parameters: Parameters,
}

impl Model {
    /// Builds a model of a configuration and weights that fit it and are on `device`.
    pub(super) fn new(config: Map<String, Value>, weights: BTreeMap<String, Weight>, device: Device) -> Result<Self, String> {
        let architecture = architecture(&config)?;
        for (name, shape) in &Shapes::of(&*architecture) {
            match weights.get(name) {
                Some(weight) if weight.shape() == *shape => {}
                Some(weight) => return Err(format!("`{name}` has the shape {:?}, not {shape:?}", weight.shape())),
                None => return Err(format!("`{name}` is missing")),
            }
        }
        Ok(Self { config: Arc::new(config), architecture: architecture.into(), parameters: Parameters::new(weights, device) })
    }

    /// Reads a folder with `config.json` and weights. The model is on the processor; [`Model::on`] moves it to another device.
    ///
    /// # Errors
    /// A key of the configuration is not supported; weights are missing, unexpected, of another shape or type, or not finite; a file is damaged.
    /// No memory is allocated by sizes in the configuration alone.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        Self::load_stored(folder, None)
    }

    /// Reads a folder as [`Model::load`] does. If `double_quant` is given, the projections of all blocks are quantised to 4 bits while they
    /// are read, as by [`Model::quantise`].
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_stored(folder: &Path, double_quant: Option<bool>) -> Result<Self, CheckpointError> {
        let path = folder.join(CONFIG);
        let content = |reason: String| CheckpointError::Content { path: path.clone(), reason };
        let text = read_regular(&path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
        let config: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        let architecture = architecture(&config).map_err(content)?;
        let quantised = quantised::check(&config).map_err(content)?;
        let tensors = safetensors_in::Tensors::of_model(folder)?;
        let sizes = architecture.sizes();
        if sizes.num_hidden_layers > tensors.len() {
            let (layers, tensors) = (sizes.num_hidden_layers, tensors.len());
            return Err(content(format!("`num_hidden_layers` is {layers}, and there are {tensors} tensors in all")));
        }
        let shapes = Shapes::of(&*architecture);
        quantised::compare(folder, &tensors, &shapes, quantised, sizes.tie_word_embeddings)?;
        let mut weights = BTreeMap::new();
        for (name, shape) in &shapes {
            let weight = quantised::read(&tensors, name, shape, quantised)?;
            // Weights are quantised one after another, so that those of a file in f32 are never all in memory.
            let codes = double_quant.and_then(|double_quant| in_4_bits(name, &weight, double_quant));
            weights.insert(name.clone(), codes.map_or(weight, |codes| Weight::Frozen(Frozen::Nf4(Arc::new(codes)))));
        }
        let parameters = Parameters::new(weights, Device::flex());
        Ok(Self { config: Arc::new(config), architecture: architecture.into(), parameters })
    }

    /// Writes `config.json` and `model.safetensors` into an existing folder, without an adapter. Weights are written as they are stored: in
    /// f32, in the 16 bits of their file, or in bitsandbytes' NF4.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let mut config = (*self.config).clone();
        let base = self.parameters.without_adapter();
        let nf4 = |weight: &Weight| match weight {
            Weight::Frozen(Frozen::Nf4(matrix)) => Some(matches!(matrix.scales, Scales::Nested(_))),
            _ => None,
        };
        match base.iter().find_map(|(_, weight)| nf4(weight)) {
            None => drop(config.remove("quantization_config")),
            Some(double_quant) => {
                config.entry("quantization_config").or_insert_with(|| quantised::settings(double_quant));
            }
        }
        let in_f32 = |weight: &Weight| matches!(weight, Weight::Vector(_) | Weight::Matrix(_));
        if base.iter().any(|(_, weight)| in_f32(weight)) {
            // Programs that read the file round weights to the type that these keys name.
            for key in ["torch_dtype", "dtype"] {
                if let Some(dtype) = config.get_mut(key) {
                    *dtype = "float32".into();
                }
            }
        }
        super::write(&folder.join(CONFIG), &super::json(&config))?;
        let tensors = base.iter().flat_map(|(name, weight)| quantised::stored(name, weight));
        write_tensors(&folder.join(WEIGHTS), tensors)
    }

    /// Returns the content of `config.json`.
    #[must_use]
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Returns the largest number of a row's tokens.
    #[must_use]
    pub fn max_position_embeddings(&self) -> usize {
        self.architecture.sizes().max_position_embeddings
    }

    /// Returns the size of the vocabulary.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.architecture.sizes().vocab_size
    }

    /// Returns whether the configuration ties the head to the embedding.
    pub(super) fn is_tied(&self) -> bool {
        self.architecture.sizes().tie_word_embeddings
    }

    /// Returns the number of values of all weights.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        self.parameters.iter().map(|(_, weight)| weight.shape().iter().product::<usize>()).sum()
    }

    /// Returns the weights.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns the weights, to be changed.
    pub(crate) fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Returns the same model with other weights.
    pub(crate) fn with_parameters(&self, parameters: Parameters) -> Self {
        Self { parameters, ..self.clone() }
    }

    /// Returns the same model on a device, where it is then computed.
    #[must_use]
    pub fn on(&self, device: &Device) -> Self {
        self.with_parameters(self.parameters.on(device))
    }

    /// Returns the same model without its adapter.
    #[must_use]
    pub(crate) fn without_adapter(&self) -> Self {
        self.with_parameters(self.parameters.without_adapter())
    }

    /// Quantises the projections of all blocks to 4 bits, as bitsandbytes does when it loads a model. Embedding, head, norms, biases and an
    /// adapter's weights are not quantised.
    pub fn quantise(&mut self, double_quant: bool) {
        let adapter = self.adapter_names();
        self.parameters.replace_matrices(|name, weight| {
            if adapter.iter().any(|own| own == name) { None } else { in_4_bits(name, weight, double_quant) }
        });
    }

    /// Sets each weight to `alpha` times another model's plus `1 - alpha` times its own.
    pub(crate) fn mix(&mut self, other: &Self, alpha: f64) {
        let (own, others) = ((1.0 - alpha) as f32, alpha as f32);
        for name in self.names() {
            let Some(theirs) = other.parameters.values(&name) else { continue };
            self.parameters.change(&name, |values| values.blended(theirs, own, others));
        }
    }

    /// Copies the values of some weights from another model that has them too.
    pub(crate) fn take(&mut self, names: &[String], other: &Self) {
        self.parameters.thaw(names);
        for name in names {
            let Some(theirs) = other.parameters.get(name) else { continue };
            self.parameters.set(name, theirs.clone().into_values());
        }
    }

    /// Returns the names of the weights that training changes, in order: those of the adapter if there is one, else all weights.
    pub(crate) fn trained_names(&self) -> Vec<String> {
        let adapter = self.adapter_names();
        if adapter.is_empty() { self.names() } else { adapter }
    }

    /// Returns the names of the base's weights in order, which a training without an adapter changes.
    fn names(&self) -> Vec<String> {
        Shapes::of(&*self.architecture).into_keys().collect()
    }

    /// Computes the logits of every target's place, `[targets, vocab_size]`.
    #[must_use]
    pub fn logits(&self, batch: &Batch) -> Tensor<2> {
        let places: Vec<usize> = batch.targets.iter().map(|target| target.place).collect();
        self.logits_at(batch, &places)
    }

    /// Computes the logits of some places among `rows * width`, `[places, vocab_size]`.
    #[must_use]
    pub fn logits_at(&self, batch: &Batch, places: &[usize]) -> Tensor<2> {
        self.read(batch, places, None, batch.length())
    }

    /// Reads a batch that continues the tokens of the cache, and computes the logits of some of its places, `[places, vocab_size]`.
    /// `length` is as in [`Model::logits_at_length`].
    pub(crate) fn logits_after(&self, cache: &mut Cache, batch: &Batch, places: &[usize], length: usize) -> Tensor<2> {
        self.read(batch, places, Some(cache), length)
    }

    /// Computes the logits of some places, `[places, vocab_size]`, with the angles of a row of `length` tokens. The length only matters with the
    /// `rope_type` `dynamic` or `longrope`.
    #[must_use]
    pub(crate) fn logits_at_length(&self, batch: &Batch, places: &[usize], length: usize) -> Tensor<2> {
        self.read(batch, places, None, length)
    }

    fn read(&self, batch: &Batch, places: &[usize], cache: Option<&mut Cache>, length: usize) -> Tensor<2> {
        self.head(self.body(batch, places, cache, length))
    }

    fn body(&self, batch: &Batch, places: &[usize], cache: Option<&mut Cache>, length: usize) -> Tensor<2> {
        let mut walk = self.open(batch, places, cache, length);
        let mut stream = walk.begin(&self.parameters);
        for index in 0..self.layers() {
            stream = walk.layer(&self.parameters, index, stream);
        }
        walk.end();
        stream
    }

    /// Computes the input of the head at every target's place, `[targets, hidden_size]`.
    #[must_use]
    pub(crate) fn hidden(&self, batch: &Batch) -> Tensor<2> {
        let places: Vec<usize> = batch.targets.iter().map(|target| target.place).collect();
        self.body(batch, &places, None, batch.length())
    }

    /// Applies the last norm and the head, place by place: `[places, hidden_size]` to logits, `[places, vocab_size]`.
    #[must_use]
    pub(crate) fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.raw_head(hidden).cast(DType::F32)
    }

    /// Does the same as [`Model::head`], with logits in the number format of the product, which may be bfloat16.
    #[must_use]
    pub(crate) fn raw_head(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.architecture.logits(&self.parameters, hidden)
    }

    /// Begins to read a batch layer by layer, for the logits of every target's place.
    pub(crate) fn walk<'a>(&'a self, batch: &'a Batch) -> LayerByLayer<'a> {
        let places: Vec<usize> = batch.targets.iter().map(|target| target.place).collect();
        self.open(batch, &places, None, batch.length())
    }

    fn open<'a>(&'a self, batch: &'a Batch, places: &[usize], cache: Option<&'a mut Cache>, length: usize) -> LayerByLayer<'a> {
        let pass = Pass::new(batch, places, cache, length, self.layers(), &self.parameters);
        LayerByLayer::new(&*self.architecture, pass)
    }

    /// Returns the number of layers.
    pub(crate) fn layers(&self) -> usize {
        self.architecture.sizes().num_hidden_layers
    }

    /// Checks the tokens of a batch.
    ///
    /// # Errors
    /// The first token outside of the vocabulary.
    pub fn check(&self, batch: &Batch) -> Result<(), InputError> {
        let vocab_size = self.vocab_size();
        let known = |token: i32| usize::try_from(token).is_ok_and(|token| token < vocab_size);
        match batch.ids.iter().find(|token| !known(**token)) {
            Some(&token) => Err(InputError::Token { token: token.into(), vocab_size }),
            None => Ok(()),
        }
    }
}

/// Quantises a projection of a block to 4 bits. Returns nothing if a weight is no projection, or is in 4 bits already.
fn in_4_bits(name: &str, weight: &Weight, double_quant: bool) -> Option<Nf4Matrix> {
    let shape = weight.shape().try_into().ok()?;
    let left = Storage::of(weight).in_codes() || layer_of(name).is_none();
    (!left).then(|| weight.quantised(shape, double_quant))
}
