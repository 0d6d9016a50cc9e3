//! The first step's gradients against those of TRL and PEFT, for every architecture and kind of adapter, where the fixtures are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Int, Tensor, TensorData, activation};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

use super::shards;
use crate::models::{Batch, Model};

#[derive(Deserialize)]
struct Prepared {
    input_ids: Vec<u32>,
    labels: Vec<i64>,
}

/// A row as a batch, with the places that predict and what they are to predict.
struct Labelled {
    batch: Batch,
    places: Vec<usize>,
    labels: Vec<i32>,
}

impl Labelled {
    fn new(row: Prepared) -> Self {
        let targets = row.labels.iter().enumerate().skip(1).filter(|(_, label)| **label >= 0);
        let (places, labels) = targets.map(|(at, &label)| (at - 1, label as i32)).unzip();
        Self { batch: Batch::plain(&[row.input_ids]).unwrap(), places, labels }
    }

    /// The negative log-probabilities over the tokens of the whole step.
    fn loss(&self, model: &Model, items: usize) -> Tensor<1> {
        let logits = model.logits_at(&self.batch, &self.places);
        let labels = TensorData::new(self.labels.clone(), [self.labels.len(), 1]);
        let labels = Tensor::<2, Int>::from_data(labels, &logits.device());
        activation::log_softmax(logits, 1).gather(1, labels).sum().neg() / items as f64
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The loss of a stage's first step, and the gradients by name.
fn first_step(case: &Path, stage: &Value) -> (f64, BTreeMap<String, Vec<f32>>) {
    let mut model = Model::load(&case.join(stage["base_model"].as_str().unwrap())).unwrap();
    if let Some(quantisation) = stage.get("quantization") {
        model = model.quantised(quantisation["double_quant"] == true);
    }
    if let Some(start) = stage["adapter"]["init_from"].as_str() {
        model.load_adapter(&case.join(start)).unwrap();
    }
    let count = (stage["batch_size"].as_u64().unwrap() * stage["gradient_accumulation_steps"].as_u64().unwrap()) as usize;
    let text = fs::read_to_string(case.join(stage["prepared"].as_str().unwrap())).unwrap();
    let rows: Vec<Labelled> = text.lines().take(count).map(|line| Labelled::new(serde_json::from_str(line).unwrap())).collect();
    let items = rows.iter().map(|row| row.labels.len()).sum();
    let names = model.trained_names();
    let gathered = shards::gather(&model, &names, 0, &rows, &|model, row: &Labelled| {
        let loss = row.loss(model, items);
        (loss.clone(), f64::from(loss.inner().into_scalar::<f32>()))
    });
    (gathered.reports.iter().sum(), names.into_iter().zip(gathered.gradients).collect())
}

/// Takes PEFT's additions out of a name, as they are in a running model.
fn our_name(name: &str) -> String {
    let name = name.replace(".base_layer.", ".").replace(".modules_to_save.", ".");
    name.strip_suffix(".weight").filter(|rest| rest.ends_with("lora_magnitude_vector")).map(str::to_owned).unwrap_or(name)
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[test]
#[expect(clippy::print_stdout, reason = "a test says what it skips")]
fn losses_and_gradients_of_the_first_step_are_those_of_trl() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures/sft");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: `{}` is not there", folder.display());
        return;
    };
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut wrong = Vec::new();
    for case in cases {
        let (name, stage) = (case.file_name().unwrap().to_str().unwrap().to_owned(), json(&case.join("stage.json")));
        let quantisation_is_plain = stage.get("quantization").is_none_or(|settings| settings["adapter_dtype"] == "float32");
        if stage["precision"] != "f32" || !stage["packing"].is_null() || stage["loss_type"] != "nll" || !quantisation_is_plain {
            continue;
        }
        let (loss, gradients) = first_step(&case, &stage);
        let metrics = fs::read_to_string(case.join("metrics.jsonl")).unwrap();
        let wanted = serde_json::from_str::<Value>(metrics.lines().next().unwrap()).unwrap()["loss"].as_f64().unwrap();
        if (loss - wanted).abs() > 1e-4 {
            wrong.push(format!("{name}: loss {loss}, not {wanted}"));
        }
        let norms = json(&case.join("first_grad_norms.json"));
        let norms: BTreeMap<String, f64> =
            norms.as_object().unwrap().iter().map(|(name, norm)| (our_name(name), norm.as_f64().unwrap())).collect();
        if norms.keys().ne(gradients.keys()) {
            wrong.push(format!("{name}: trains {:?}, not {:?}", gradients.keys(), norms.keys()));
            continue;
        }
        for (weight, wanted) in &norms {
            let found = norm(&gradients[weight]);
            if (found - wanted).abs() > 1e-4 + 1e-3 * wanted {
                wrong.push(format!("{name}: {weight}: norm {found}, not {wanted}"));
            }
        }
        let Ok(bytes) = fs::read(case.join("first_grads.safetensors")) else { continue };
        for (weight, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let wanted: Vec<f32> = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let differences: Vec<f32> =
                wanted.iter().zip(&gradients[&our_name(&weight)]).map(|(left, right)| left - right).collect();
            if norm(&differences) > 1e-5 + 1e-3 * norm(&wanted) {
                wrong.push(format!("{name}: {weight}: off by {} of {}", norm(&differences), norm(&wanted)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
