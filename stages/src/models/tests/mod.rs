//! Tests of checkpoints as a whole, and models for tests. Each file has the tests of its own functions.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::*;
use crate::{random::Random, tokenizer::Pieces};

/// Makes a small untrained checkpoint for tests.
pub(crate) fn tiny(seed: u64) -> Checkpoint {
    let texts = ["what is 3 plus 4", "Policy: One", "Policy: Two", "terms 2"];
    let tokenizer = Tokenizer::train(texts.iter().map(ToString::to_string), 300, Pieces::Elements).unwrap();
    let settings = NewModel {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        initializer_range: 0.3,
        ..NewModel::default()
    };
    Checkpoint::new(&settings, tokenizer, seed).unwrap()
}

/// Makes the same small decoder with biases in its attention.
pub(crate) fn tiny_with_biases(seed: u64) -> Model {
    let model = tiny(seed).model;
    let mut config = model.config().clone();
    config.insert("attention_bias".into(), true.into());
    let mut weights: BTreeMap<String, Weight> =
        model.parameters().iter().map(|(name, weight)| (name.to_owned(), weight.clone())).collect();
    let attention = model.parameters().iter().filter(|(name, _)| name.contains(".self_attn."));
    for (module, rows) in attention.filter_map(|(name, weight)| Some((name.strip_suffix(".weight")?, weight.shape()[0]))) {
        weights.insert(format!("{module}.bias"), Weight::dense(&[rows], vec![0.1; rows], model.parameters().device()));
    }
    Model::new(config, weights, model.parameters().device().clone()).unwrap()
}

/// Returns the folders of all models beside the repository, or prints that they are missing.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures/models");
    let Ok(entries) = fs::read_dir(&parent) else {
        println!("skipped: `../shared/parity/fixtures/models` is not there");
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("config.json").exists());
    folders.sort();
    folders
}

/// Makes the configuration of a small decoder with a tied head, with the entries of an object added.
pub(crate) fn config(model_type: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut config = serde_json::json!({
        "model_type": model_type, "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// Makes a decoder of a configuration with weights drawn from `seed`.
pub(crate) fn drawn(config: &serde_json::Value, seed: u64) -> Model {
    let serde_json::Value::Object(config) = config.clone() else { panic!("a configuration is an object") };
    let mut shapes = architectures::Shapes::default();
    architectures::architecture(&config).unwrap().shapes(&mut shapes);
    let mut random = crate::random::Random::new(seed, "test");
    let mut weight = |shape: &Vec<usize>| {
        let values = (0..shape.iter().product()).map(|_| 0.3 * random.normal() as f32).collect();
        Weight::dense(shape, values, &Device::flex())
    };
    let weights = shapes.0.iter().map(|(name, shape)| (name.clone(), weight(shape))).collect();
    Model::new(config, weights, Device::flex()).unwrap()
}

fn logits(model: &Model, rows: &[&Row]) -> Vec<Vec<f32>> {
    let values = model.logits(&Batch::new(rows)).into_data().try_to_vec::<f32>().unwrap();
    values.chunks(model.vocab_size()).map(<[f32]>::to_vec).collect()
}

fn close(left: &[f32], right: &[f32]) -> bool {
    left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-5)
}

#[test]
fn a_branch_and_a_padded_row_give_the_logits_of_the_row_alone() {
    let model = tiny(1).model;
    let tree = Row::new(vec![5, 6, 7], vec![vec![8, 9, 3], vec![8, 4, 10, 11]]);
    let long = Row::new(vec![1; 12], vec![vec![2, 3]]);
    let together = logits(&model, &[&long, &tree]);
    let first = logits(&model, &[&Row::new(vec![5, 6, 7], vec![vec![8, 9, 3]])]);
    let second = logits(&model, &[&Row::new(vec![5, 6, 7], vec![vec![8, 4, 10, 11]])]);
    // Targets are in the order: two of `long`, the shared one, two of the first branch, three of the second.
    for (index, expected) in [(2, &first[0]), (3, &first[1]), (4, &first[2]), (5, &second[1]), (6, &second[2]), (7, &second[3])] {
        assert!(close(&together[index], expected), "target {index}");
    }
    assert!(!close(&first[1], &first[2]));
}

#[test]
fn a_later_token_changes_nothing_before_it_and_order_matters() {
    let model = tiny(2).model;
    let base = logits(&model, &[&Row::new(vec![5, 6], vec![vec![7, 8]])]);
    let other = logits(&model, &[&Row::new(vec![5, 6], vec![vec![7, 9]])]);
    assert_eq!(base[1], other[1]);
    let swapped = logits(&model, &[&Row::new(vec![6, 5], vec![vec![7, 8]])]);
    assert!(!close(&base[1], &swapped[1]));
}

#[test]
fn a_saved_checkpoint_reads_back_with_the_same_logits() {
    let checkpoint = tiny(3);
    let folder = tempfile::tempdir().unwrap();
    checkpoint.save(folder.path()).unwrap();
    let again = Checkpoint::load(folder.path()).unwrap();
    let row = Row::new(vec![1, 5, 9, 4], vec![vec![7, 8, 2]]);
    assert_eq!(logits(&checkpoint.model, &[&row]), logits(&again.model, &[&row]));
    let other = tempfile::tempdir().unwrap();
    again.save(other.path()).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), fs::read(other.path().join(name)).unwrap(), "{name}");
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_by_name() {
    let tokenizer = tiny(1).tokenizer;
    let refused = |settings: NewModel| settings.draw(&tokenizer, 0).unwrap_err();
    assert!(refused(NewModel { num_attention_heads: 3, ..NewModel::default() }).contains("num_attention_heads"));
    assert!(refused(NewModel { num_key_value_heads: 3, ..NewModel::default() }).contains("num_key_value_heads"));
    assert!(refused(NewModel { rope_theta: 0.0, ..NewModel::default() }).contains("rope_theta"));
    let reading = || NewModel { attention: FirstAttention::Reading, num_key_value_heads: 4, ..NewModel::default() };
    assert!(refused(NewModel { num_hidden_layers: 1, ..reading() }).contains("num_hidden_layers"));
    assert!(refused(NewModel { num_key_value_heads: 2, ..reading() }).contains("num_key_value_heads"));
    assert!(refused(NewModel { hidden_size: 16, ..reading() }).contains("wide heads"));
    assert!(reading().draw(&tokenizer, 0).is_ok());
}

#[test]
fn attention_that_reads_goes_on_as_it_went_before_without_training() {
    let tokenizer = tiny(1).tokenizer;
    let continued = |attention| {
        let model = NewModel { attention, num_key_value_heads: 4, ..NewModel::default() }.draw(&tokenizer, 3).unwrap();
        let mut tokens: Vec<u32> = (0..tokenizer.size() as u32).collect();
        Random::new(3, "tokens").shuffle(&mut tokens);
        let once = 40;
        let twice = [&tokens[..once], &tokens[..once]].concat();
        let places: Vec<usize> = (once..2 * once - 1).collect();
        let logits = model
            .logits_at(&Batch::plain(std::slice::from_ref(&twice)).unwrap(), &places)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        let likeliest = logits
            .chunks(tokenizer.size())
            .map(|logits| (0..logits.len()).max_by(|left, right| logits[*left].total_cmp(&logits[*right])).unwrap());
        places.iter().zip(likeliest).filter(|(place, token)| twice[*place + 1] as usize == *token).count()
    };
    let (reading, random) = (continued(FirstAttention::Reading), continued(FirstAttention::Random));
    assert!(reading >= 10 && random <= 2, "{reading} and {random} of 39");
}

#[test]
fn packed_documents_give_the_logits_of_each_alone() {
    let model = tiny(6).model;
    let documents = [vec![5, 6, 7, 8], vec![9, 3], vec![4, 10, 11]];
    let all = |tokens: &[u32], batch: Batch| -> Vec<Vec<f32>> {
        let places: Vec<usize> = (0..tokens.len()).collect();
        let values = model.logits_at(&batch, &places).into_data().try_to_vec::<f32>().unwrap();
        values.chunks(model.vocab_size()).map(<[f32]>::to_vec).collect()
    };
    let mut row = documents.concat();
    // The rest of a row is padding.
    row.push(0);
    let lengths: Vec<usize> = documents.iter().map(Vec::len).collect();
    let positions: Vec<usize> = documents.iter().flat_map(|document| 0..document.len()).chain([0]).collect();
    let batch = Batch::plain(std::slice::from_ref(&row)).unwrap().packed(&[lengths]).unwrap().at_positions(&[positions]).unwrap();
    let together = all(&row, batch);
    let alone: Vec<Vec<f32>> =
        documents.iter().flat_map(|document| all(document, Batch::plain(std::slice::from_ref(document)).unwrap())).collect();
    for (index, (together, alone)) in together.iter().zip(&alone).enumerate() {
        assert!(close(together, alone), "place {index}");
    }
    let unpacked = all(&row, Batch::plain(std::slice::from_ref(&row)).unwrap());
    assert!(!close(&unpacked[5], &alone[5]));
}

#[test]
fn a_cache_changes_no_token() {
    let model = tiny(7).model;
    let prompts = [vec![5, 6, 7], vec![4]];
    let generated = generate(&model, &prompts, 8, &[]).unwrap();
    let mut tokens = prompts[0].clone();
    for &token in &generated[0] {
        let batch = Batch::plain(std::slice::from_ref(&tokens)).unwrap();
        let best =
            model.logits_at(&batch, &[tokens.len() - 1]).argmax(1).into_data().convert::<i64>().try_into_vec::<i64>().unwrap();
        assert_eq!(best, [i64::from(token)]);
        tokens.push(token);
    }
    let end = generated[0][2];
    assert_eq!(generate(&model, &prompts[..1], 8, &[end]).unwrap()[0].last(), Some(&end));
    assert_eq!(generate(&model, &prompts[1..], 8, &[]).unwrap()[0], generated[1]);
    assert!(generate(&model, &[vec![]], 8, &[]).is_err());
}

#[test]
fn a_walk_by_the_weights_of_one_layer_at_a_time_gives_the_logits_of_the_whole() {
    let model = tiny(8).model;
    let batch = Batch::new(&[&Row::new(vec![5, 6, 7], vec![vec![8, 9, 3]]), &Row::new(vec![4], vec![vec![2, 9]])]);
    let mut walk = model.walk(&batch);
    let ends = model.parameters().of_layer(None);
    let mut stream = walk.begin(&ends);
    for layer in 0..model.layers() {
        stream = walk.layer(&model.parameters().of_layer(Some(layer)), layer, stream);
    }
    let values = model.with_parameters(ends).head(stream).into_data().try_into_vec::<f32>().unwrap();
    assert_eq!(values, model.logits(&batch).into_data().try_into_vec::<f32>().unwrap());
}

mod adapters;
mod bad_input;
pub(crate) mod storage;
