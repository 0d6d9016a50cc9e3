//! What each kind gives for fixed inputs, in `tests/golden/golden.json`, beside the versions that it was made by. Other outputs
//! under the same versions are refused: every user's cache would hold the old ones under the new key.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::place::Place;

/// Outputs that hang on the machine's floating-point kernels are held to figures, with this relative tolerance.
const TOLERANCE: f64 = 0.01;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Runs a stage whose producers have run, and says what gave what.
fn stage(place: &Place, manifest: &str, name: &str) -> Value {
    let entry = |plan: String| {
        let stages = document(&plan)["stages"].as_array().unwrap().clone();
        stages.into_iter().find(|stage| stage["stage"] == name).unwrap()
    };
    let plan = ["plan", manifest, name, "--format", "json"];
    let preimage = entry(place.good(&plan))["preimage"].clone();
    let events = place.good(&["run", manifest, name, "--format", "json"]);
    let mut gives: Map<String, Value> = Map::new();
    match preimage["kind"].as_str().unwrap() {
        "sft" | "dpo" | "orpo" => {
            let figures = events.lines().map(document).filter(|event| event["event"] == "figures" && event["stage"] == name);
            let losses: Vec<_> = figures.map(|event| event["figures"]["metrics"]["loss"].clone()).collect();
            assert!(losses.len() > 3 && losses.iter().all(Value::is_number), "{events}");
            gives.insert("losses".to_owned(), losses.into());
        }
        "evaluate" => {
            let metrics = document(&place.good(&["show", manifest, &format!("{name}.metrics")]));
            gives.insert("baselines".to_owned(), metrics["baselines"].clone());
        }
        _ => {
            for (port, output) in entry(place.good(&plan))["outputs"].as_object().unwrap() {
                gives.insert(port.clone(), output["digest"].clone());
            }
        }
    }
    let versions = json!({ "kind": preimage["kind"], "version": preimage["version"], "parts": preimage["parts"] });
    json!({ "versions": versions, "gives": gives })
}

fn near(was: &Value, now: &Value) -> bool {
    match (was, now) {
        (Value::Object(was), Value::Object(now)) => {
            was.len() == now.len() && was.iter().all(|(name, was)| now.get(name).is_some_and(|now| near(was, now)))
        }
        (Value::Array(was), Value::Array(now)) => was.len() == now.len() && was.iter().zip(now).all(|(was, now)| near(was, now)),
        (Value::Number(was), Value::Number(now)) => {
            let (was, now) = (was.as_f64().unwrap(), now.as_f64().unwrap());
            (was - now).abs() <= TOLERANCE * was.abs().max(1e-3)
        }
        _ => was == now,
    }
}

#[test]
fn every_kind_has_a_golden_output() {
    let kinds = document(&Place::new().good(&["kinds", "--format", "json"]));
    let text = std::fs::read_to_string(folder().join("golden.yaml")).unwrap();
    for kind in kinds["kinds"].as_array().unwrap() {
        assert!(text.contains(&format!("uses: {}", kind["kind"].as_str().unwrap())), "{kind}");
    }
}

#[test]
fn other_outputs_need_another_version() {
    let (place, manifest) = (Place::new(), folder().join("golden.yaml"));
    let manifest = manifest.to_str().unwrap();
    let path = folder().join("golden.json");
    let golden = std::fs::read_to_string(&path).map_or_else(|_| json!({}), |text| document(&text));
    let plan = document(&place.good(&["plan", manifest, "--format", "json"]));
    let mut now = Map::new();
    let mut wrong = Vec::new();
    for planned in plan["stages"].as_array().unwrap() {
        let name = planned["stage"].as_str().unwrap();
        let found = stage(&place, manifest, name);
        let known = &golden[name];
        let same = near(&known["gives"], &found["gives"]);
        if known["versions"] == found["versions"] && !same {
            let kind = &found["versions"]["kind"];
            wrong.push(format!(
                "`{name}` gives something else than before under the same versions: raise `VERSION` of {kind}, or of the part \
                 of it that changed, and write the golden file anew\nbefore {}\nnow    {}",
                known["gives"], found["gives"]
            ));
        }
        now.insert(name.to_owned(), if same { json!({ "versions": found["versions"], "gives": known["gives"] }) } else { found });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let now = Value::from(now);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{now:#}\n")).unwrap();
    } else {
        assert!(
            now == golden,
            "versions changed: `UPDATE=1 cargo test --release -p fingerpost --test program golden` writes them"
        );
    }
}
