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
    assert_eq!(export(&place), export(&undisturbed));
}
