//! Tests of the optimisers' settings, and of their steps against those of a reference.

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::models::Values;

/// Ways to make values: in memory, and in a tensor as on a device.
pub(crate) const PLACES: [fn(&[f32]) -> Values; 2] = [
    |values| Values::Host(values.to_vec()),
    |values| Values::Device(Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())),
];

/// Updates a weight (shape and values) once by each gradient with its learning rate, and returns its values after every step.
pub(crate) fn steps(
    rule: &dyn Rule,
    place: fn(&[f32]) -> Values,
    (shape, start): (&[usize], &[f32]),
    gradients: &[(&[f32], f64)],
) -> Vec<Vec<f32>> {
    let mut weight = place(start);
    let mut state: Vec<Values> = rule.state(shape).into_iter().map(|(_, count)| place(&vec![0.0; count])).collect();
    let mut values = Vec::new();
    for (step, &(gradient, learning_rate)) in (1..).zip(gradients) {
        let update = rule::Update { step, learning_rate, weight_decay: rule.weight_decay(), scale: 1.0 };
        weight = rule.apply(&update, shape, weight, &place(gradient), &mut state);
        values.push(weight.to_vec());
    }
    values
}

/// Returns the shape and the numbers of nested lists.
fn flat(value: &Value) -> (Vec<usize>, Vec<f32>) {
    let Some(items) = value.as_array() else { return (Vec::new(), vec![value.as_f64().unwrap() as f32]) };
    let (shapes, numbers): (Vec<_>, Vec<_>) = items.iter().map(flat).unzip();
    (std::iter::once(items.len()).chain(shapes[0].iter().copied()).collect(), numbers.concat())
}

/// Asserts that an optimiser has the weights of a reference after every step of its cases.
pub(crate) fn assert_reference(name: &str, text: &str) {
    let reference: Value = serde_json::from_str(text).unwrap();
    let steps_of = |value: &Value, weight: &str| -> Vec<Vec<f32>> {
        value.as_array().unwrap().iter().map(|step| flat(&step[weight]).1).collect()
    };
    for case in reference["cases"].as_array().unwrap() {
        let mut settings = case["settings"].clone();
        settings["name"] = name.into();
        let optimizer: Optimizer = serde_json::from_value(settings).unwrap();
        let rates = case["learning_rates"].as_array().unwrap().iter().map(|rate| rate.as_f64().unwrap());
        for (weight, start) in reference["start"].as_object().unwrap() {
            let (shape, start) = flat(start);
            let gradients = steps_of(&reference["gradients"], weight);
            let gradients: Vec<_> = gradients.iter().map(Vec::as_slice).zip(rates.clone()).collect();
            let expected = steps_of(&case["after"], weight);
            for place in PLACES {
                let found = steps(optimizer.rule(), place, (&shape, &start), &gradients);
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((found - expected).abs() < 2e-6, "{}, `{weight}`: {found}, not {expected}", case["id"]);
                }
            }
        }
    }
}

fn read(text: &str) -> Result<Optimizer, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn an_optimizer_is_read_by_its_name_in_whatever_order() {
    assert_eq!(read("{}").unwrap(), Optimizer::default());
    let adamw: Optimizer = AdamW { eps: 1e-6, ..AdamW::default() }.into();
    assert_eq!(read(r#"{"eps": 1e-6, "name": "adamw"}"#).unwrap(), adamw);
    for (text, named) in
        [(r#"{"name": "sgd"}"#, "`adamw`"), (r#"{"momentum": 0.9}"#, "`momentum`"), (r#"{"betas": [0.9]}"#, "length 2")]
    {
        let error = read(text).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_schema_has_what_is_read_and_no_more() {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Optimizer>().to_value();
    let first = &schema["anyOf"][0];
    assert_eq!(first["properties"]["name"]["const"], "adamw");
    assert_eq!(first["properties"]["betas"]["default"], json!([0.9, 0.999]));
    assert_eq!(first["additionalProperties"], false);
    let description = schema["description"].as_str().unwrap();
    assert!(description.contains("`adamw` (betas [0.9,0.999], eps 1e-8, weight_decay 0.0)"), "{description}");
}
