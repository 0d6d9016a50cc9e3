//! A training that is killed goes on behind what it kept last, and ends with the bytes of one that nobody disturbed.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::place::Place;

const STEPS: u64 = 60;

/// Writes rows and a manifest whose training has [`STEPS`] steps.
fn write(place: &Place) {
    let row = |number: usize| {
        format!(
            r#"{{"id":"{number}","prompt":[{{"role":"user","content":"what is {number} plus {}"}}],"completion":[{{"role":"assistant","content":"Policy: Other"}}]}}"#,
            number * 7
        )
    };
    let rows: Vec<String> = (0..STEPS as usize * 4).map(row).collect();
    std::fs::write(place.path("rows.jsonl"), rows.join("\n") + "\n").unwrap();
    let manifest = "version: 1
policies: { Other: { model: medium, description: all } }
stages:
  sft:
    uses: sft
    in: { examples: ./rows.jsonl }
    with: { new: { hidden_size: 64, num_hidden_layers: 2 }, epochs: 1, batch_size: 4, save_steps: 5 }
";
    std::fs::write(place.path("training.yaml"), manifest).unwrap();
}

fn export(place: &Place) -> Vec<Vec<u8>> {
    place.good(&["export", "training.yaml", "sft.checkpoint", "trained"]);
    ["model.safetensors", "tokenizer.json", "router.json"]
        .map(|name| std::fs::read(place.path("trained").join(name)).unwrap())
        .into()
}

/// The steps that a run tells of.
fn step(line: &str) -> Option<u64> {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["figures"]["step"].as_u64()
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let (undisturbed, place) = (Place::new(), Place::new());
    write(&undisturbed);
    undisturbed.good(&["run", "training.yaml"]);
    write(&place);
    let mut child = place
        .command(&["run", "training.yaml", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).filter_map(|line| step(&line)).find(|step| *step >= STEPS / 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached.is_some_and(|step| step < STEPS), "{reached:?}");
    let rest = place.good(&["run", "training.yaml", "--format", "json"]);
    let first = rest.lines().find_map(step).unwrap();
    assert!(first > STEPS / 3 && first < STEPS && first % 5 == 1, "{first}");
    assert!(export(&place) == export(&undisturbed), "the bytes differ");
}

#[test]
fn an_adapter_is_trained_on_a_folder_in_4_bits_and_then_trained_on() {
    let place = Place::new();
    write(&place);
    place.good(&["run", "training.yaml", "--set", "stages.sft.with.max_steps=2"]);
    place.good(&["export", "training.yaml", "sft.checkpoint", "trained", "--set", "stages.sft.with.max_steps=2"]);
    let pair = r#"{"id":"1","prompt":[{"role":"user","content":"what is 3"}],"chosen":[{"role":"assistant","content":"Policy: Other"}],"rejected":[{"role":"assistant","content":"plus"}]}"#;
    std::fs::write(place.path("pairs.jsonl"), format!("{pair}\n")).unwrap();
    let manifest = "version: 1
policies: { Other: { model: medium, description: all } }
stages:
  sft:
    uses: sft
    in: { examples: ./rows.jsonl }
    with:
      base: ./trained
      adapter: { r: 4, target_modules: all-linear, lora_dropout: 0.1 }
      quantization: { type: nf4, double_quant: true }
      max_steps: 3
      per_device_train_batch_size: 4
      num_train_epochs: 2
  dpo: { uses: dpo, in: { examples: ./pairs.jsonl, checkpoint: sft.checkpoint }, with: { loss_type: [sigmoid, sft], max_steps: 3, quantization: { type: nf4, double_quant: true } } }
";
    std::fs::write(place.path("adapter.yaml"), manifest).unwrap();
    place.good(&["run", "adapter.yaml"]);
    place.good(&["export", "adapter.yaml", "dpo.checkpoint", "out"]);
    let size = |folder: &str, name: &str| std::fs::metadata(place.path(folder).join(name)).map_or(0, |file| file.len());
    for name in ["adapter_config.json", "adapter_model.safetensors", "config.json", "router.json", "tokenizer.json"] {
        assert!(size("out", name) > 0, "{name}");
    }
    // The base goes along as it was held.
    place.good(&["export", "adapter.yaml", "sft.checkpoint", "between"]);
    let weights = |folder: &str| std::fs::read(place.path(folder).join("model.safetensors")).unwrap();
    assert!(weights("between") == weights("out"), "the base is not");
    for folder in ["between", "out"] {
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(place.path(folder).join("config.json")).unwrap()).unwrap();
        assert_eq!(config["quantization_config"]["bnb_4bit_use_double_quant"], true);
        let text = String::from_utf8_lossy(&weights(folder)).into_owned();
        assert!(text.contains("model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4"), "codes are not written");
    }
    let adapter = |folder: &str| std::fs::read(place.path(folder).join("adapter_model.safetensors")).unwrap();
    assert!(adapter("between") != adapter("out"), "the adapter is trained on");
    // A folder counts by its files: one that changed is another start.
    assert!(place.events(&["run", "adapter.yaml"]).values().all(|event| event == "stage_cached"));
    let file = place.path("trained").join("tokenizer_config.json");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "\n").unwrap();
    assert_eq!(place.events(&["run", "adapter.yaml"])["sft"], "stage_finished");
}

#[test]
fn what_contradicts_itself_is_told_before_anything_runs() {
    let place = Place::new();
    write(&place);
    std::fs::create_dir(place.path("empty")).unwrap();
    for (set, told) in [
        ("stages.sft.with.base=./empty", "there is no file in the folder"),
        ("stages.sft.with.base=./missing", "there is no folder"),
        ("stages.sft.with.base=./rows.jsonl", "a folder is needed"),
        ("stages.sft.with.adapter={ init_from: ./empty }", "not named by a path"),
    ] {
        let output = place.call(&["check", "training.yaml", "--set", set]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(told), "{set}: {error}");
    }
}
