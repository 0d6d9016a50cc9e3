//! A training that is killed goes on behind what it kept last, and ends with the bytes of one that nobody disturbed.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::place::Place;

const STEPS: u64 = 60;

/// Writes rows and a manifest whose training has [`STEPS`] steps.
pub(crate) fn write(place: &Place) {
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
    for optimizer in ["adamw", "adafactor", "lion"] {
        goes_on_to_the_same_bytes(optimizer);
    }
}

fn goes_on_to_the_same_bytes(optimizer: &str) {
    let (undisturbed, place) = (Place::new(), Place::new());
    for place in [&undisturbed, &place] {
        write(place);
        let manifest = std::fs::read_to_string(place.path("training.yaml")).unwrap();
        let named = manifest.replace("save_steps: 5", &format!("save_steps: 5, optimizer: {{ name: {optimizer} }}"));
        std::fs::write(place.path("training.yaml"), named).unwrap();
    }
    undisturbed.good(&["run", "training.yaml"]);
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
fn memory_is_told_of_all_trainings_before_any_has_run() {
    let place = Place::new();
    write(&place);
    let pair = r#"{"id":"1","prompt":[{"role":"user","content":"what is 3"}],"chosen":[{"role":"assistant","content":"Policy: Other"}],"rejected":[{"role":"assistant","content":"plus"}]}"#;
    std::fs::write(place.path("pairs.jsonl"), format!("{pair}\n")).unwrap();
    let manifest = "version: 1
policies: { Other: { model: medium, description: all } }
stages:
  sft: { uses: sft, in: { examples: ./rows.jsonl }, with: { new: { hidden_size: 256, intermediate_size: 1024, num_hidden_layers: 2 }, max_steps: 2 } }
  adapted:
    uses: sft
    in: { examples: ./rows.jsonl, base: sft.checkpoint }
    with: { adapter: { r: 4, target_modules: all-linear }, quantization: { type: nf4 }, max_steps: 2 }
  dpo: { uses: dpo, in: { examples: ./pairs.jsonl, checkpoint: adapted.checkpoint }, with: { max_steps: 2 } }
";
    std::fs::write(place.path("three.yaml"), manifest).unwrap();
    let told = || {
        let plan: serde_json::Value = serde_json::from_str(&place.good(&["plan", "three.yaml", "--format", "json"])).unwrap();
        let stages = plan["stages"].as_array().unwrap().clone();
        stages.iter().map(|stage| stage["forecast"]["notes"][0].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    // What is told of a part, in MiB.
    let part = |note: &Option<String>, name: &str| {
        let rest = note.as_ref().unwrap().split(name).nth(1).unwrap().trim_start().to_owned();
        rest.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = told();
    assert!(before.iter().all(|note| note.as_ref().is_some_and(|note| note.starts_with("memory: at most "))), "{before:?}");
    // All weights, an adapter on weights in 4 bits, and the same adapter trained further.
    assert!(part(&before[0], "optimiser") > part(&before[1], "optimiser"), "{before:?}");
    assert_eq!(part(&before[1], "optimiser"), part(&before[2], "optimiser"), "{before:?}");
    assert!(part(&before[0], "weights") > part(&before[2], "weights"), "{before:?}");
    // With the checkpoints there, the tokenizer's size is known as well.
    place.good(&["run", "three.yaml", "adapted"]);
    let after = told();
    assert!(after[0].is_none() && after[1].is_none(), "{after:?}");
    assert!(part(&after[2], "logits") <= part(&before[2], "logits") && part(&after[2], "weights") > 0, "{after:?}");
}

#[test]
fn what_contradicts_itself_is_told_before_anything_runs() {
    let place = Place::new();
    write(&place);
    std::fs::create_dir(place.path("empty")).unwrap();
    for (set, told) in [
        ("stages.sft.with.base=./empty", "there is no file in the folder"),
        ("stages.sft.with.base=./missing", "there is no folder"),
        ("stages.sft.with.base=./rows.jsonl", "is a file, not a folder"),
        ("stages.sft.with.adapter={ init_from: ./empty }", "cannot be set in a manifest"),
        ("stages.sft.with.epochs=-1", "`epochs` is -1 and must be above 0"),
        ("stages.sft.with.learning_rate=-1", "`learning_rate` must be 0 or above"),
        ("stages.sft.with.new.hidden_size=66", "must divide `hidden_size` (66)"),
    ] {
        let output = place.call(&["check", "training.yaml", "--set", set]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(told), "{set}: {error}");
    }
}

#[test]
fn where_system_messages_stand_is_decided_before_anything_runs() {
    let place = Place::new();
    write(&place);
    let quick = ["--set", "stages.sft.with.max_steps=1"];
    place.good(&[&["run", "training.yaml"][..], &quick].concat());
    place.good(&[&["export", "training.yaml", "sft.checkpoint", "trained"][..], &quick].concat());
    let template = "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}\
        <{{ message.role }}>{{ message.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    std::fs::write(place.path("turns.jinja"), template).unwrap();
    std::fs::write(place.path("broken.jinja"), "{% for %}").unwrap();
    std::fs::create_dir(place.path("bare")).unwrap();
    std::fs::copy(place.path("trained/config.json"), place.path("bare/config.json")).unwrap();
    let manifest = std::fs::read_to_string(place.path("training.yaml")).unwrap();
    let with = |more: &str| {
        let from = manifest.find("with:").unwrap();
        std::fs::write(place.path("base.yaml"), format!("{}with: {{ {more}, max_steps: 1 }}\n", &manifest[..from])).unwrap();
    };

    with("base: ./trained");
    let plan = place.good(&["plan", "base.yaml"]);
    assert!(plan.contains("chat template: `tokenizer_config.json`, system messages in a turn of their own"), "{plan}");
    with("base: ./trained, chat_template: ./turns.jinja");
    let plan = place.good(&["plan", "base.yaml"]);
    assert!(plan.contains("chat template: `./turns.jinja`, system messages at the head of the question"), "{plan}");
    place.good(&["run", "base.yaml"]);
    place.good(&["export", "base.yaml", "sft.checkpoint", "out"]);
    let config = std::fs::read(place.path("out/tokenizer_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((config["system_placement"].as_str(), config["chat_template"].as_str()), (Some("user"), Some(template)));

    for (more, told) in [
        ("base: ./trained, chat_template: ./turns.jinja, system: refuse", "`./turns.jinja` refuses role `system`"),
        ("base: ./trained, chat_template: ./broken.jinja", "`./broken.jinja`"),
        ("base: ./bare", "tokenizer.json"),
    ] {
        with(more);
        let output = place.call(&["check", "base.yaml"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(told) && error.contains("base.yaml:7"), "{more}: {error}");
    }
}

/// Rows that have nothing to do with those that are learned, so that learning these does not help.
fn write_validation(place: &Place) {
    let row = |number: usize| {
        format!(
            r#"{{"id":"v{number}","prompt":[{{"role":"user","content":"what is {number} plus 1"}}],"completion":[{{"role":"assistant","content":"plus what is {}"}}]}}"#,
            number * 13
        )
    };
    let rows: Vec<String> = (0..12).map(row).collect();
    std::fs::write(place.path("validation.jsonl"), rows.join("\n") + "\n").unwrap();
    let manifest = "version: 1
policies: { Other: { model: medium, description: all } }
stages:
  sft:
    uses: sft
    in: { examples: ./rows.jsonl, validation: ./validation.jsonl }
    with:
      new: { hidden_size: 64, num_hidden_layers: 2 }
      epochs: 4
      batch_size: 4
      save_steps: 1
      eval_steps: 4
      load_best_model_at_end: true
      early_stopping_patience: 3
";
    std::fs::write(place.path("evaluated.yaml"), manifest).unwrap();
}

/// The steps of a training in a run's events, and the loss of each evaluation by its step.
fn told(events: &str) -> (Vec<u64>, Vec<(u64, f64)>) {
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let (mut steps, mut losses) = (Vec::new(), Vec::new());
    for event in events {
        let Some(step) = event["figures"]["step"].as_u64() else { continue };
        match event["figures"]["metrics"]["eval_loss"].as_f64() {
            Some(loss) => losses.push((step, loss)),
            None => steps.push(step),
        }
    }
    (steps, losses)
}

#[test]
fn a_training_that_overfits_stops_early_with_its_best_weights_killed_or_not() {
    let (undisturbed, place) = (Place::new(), Place::new());
    for place in [&undisturbed, &place] {
        write(place);
        write_validation(place);
    }
    let (steps, losses) = told(&undisturbed.good(&["run", "evaluated.yaml", "--format", "json"]));
    let best = losses.iter().copied().min_by(|one, other| one.1.total_cmp(&other.1)).unwrap();
    assert_eq!(steps.last(), Some(&(best.0 + 12)), "three evaluations after the best: {losses:?}");
    let metrics: serde_json::Value = serde_json::from_str(&undisturbed.good(&["show", "evaluated.yaml", "sft.metrics"])).unwrap();
    assert_eq!((metrics["best_step"].as_u64(), metrics["best_metric"].as_f64()), (Some(best.0), Some(best.1)));
    let mut child = place
        .command(&["run", "evaluated.yaml", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).filter_map(|line| step(&line)).find(|step| *step > best.0 + 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let (rest, _) = told(&place.good(&["run", "evaluated.yaml", "--format", "json"]));
    assert!(reached.is_some() && rest[0] > best.0 && rest.last() == steps.last(), "{reached:?} {rest:?}");
    let weights = |place: &Place| {
        place.good(&["export", "evaluated.yaml", "sft.checkpoint", "trained"]);
        std::fs::read(place.path("trained/model.safetensors")).unwrap()
    };
    assert!(weights(&place) == weights(&undisturbed), "the bytes differ");
}

#[test]
fn a_loss_that_is_no_number_leaves_the_checkpoint_before_it_and_says_how_to_go_on() {
    let place = Place::new();
    write(&place);
    let output = place.call(&["run", "training.yaml", "--set", "stages.sft.with.learning_rate=1e30"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let folder = error.split("`base: ").nth(1).and_then(|rest| rest.split('`').next()).expect("the folder is told");
    assert!(error.contains("its rows were `"), "{error}");
    for name in ["model.safetensors", "tokenizer.json", "router.json"] {
        assert!(std::path::Path::new(folder).join(name).is_file(), "{name}");
    }
}

#[test]
fn which_model_a_policy_sends_to_is_no_part_of_training() {
    let place = Place::new();
    write(&place);
    let short = ["run", "training.yaml", "--set", "stages.sft.with.max_steps=1"];
    assert_eq!(place.events(&short)["sft"], "stage_finished");
    let sent = |set| place.events(&[short.as_slice(), &["--set", set]].concat())["sft"].clone();
    assert_eq!(sent("policies.Other.model=large"), "stage_cached");
    assert_eq!(sent("policies.Other.description=some"), "stage_finished");
}

#[test]
fn memory_is_told_before_it_is_taken_and_what_fits_is_told_where_it_is_not_there() {
    let place = Place::new();
    write(&place);
    let large = ["--set", "stages.sft.with.batch_size=240", "--set", "stages.sft.with.max_steps=1"];
    let large =
        [large.as_slice(), &["--set", "stages.sft.with.new={ hidden_size: 512, num_hidden_layers: 8, vocab_size: 4000 }"]]
            .concat();
    let plan = place.good(&[&["plan", "training.yaml"], large.as_slice()].concat());
    assert!(plan.contains("memory: at most") && plan.contains("activations"), "{plan}");
    if !cfg!(target_os = "linux") {
        return;
    }
    // As a shell's `ulimit -v` does: the store's map needs some of it too, and takes what it gets.
    let limited = |more: &[&str]| {
        let mut command = std::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_fingerpost");
        command.args(["-c", "ulimit -v 3000000; exec \"$@\"", "sh", program, "run", "training.yaml"]).args(&large).args(more);
        command.arg("--cache").arg(place.path("cache")).arg("--runs").arg(place.path("runs"));
        let output = command.current_dir(place.folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = limited(&[]);
    assert_eq!(code, Some(1), "{error}");
    let advice = error.split("what fits: `").nth(1).and_then(|rest| rest.split('`').next()).expect("the advice is told");
    let batch_size = advice.strip_prefix("batch_size: ").expect("a smaller batch fits");
    let smaller = format!("stages.sft.with.batch_size={batch_size}");
    let accumulated = format!("stages.sft.with.gradient_accumulation_steps={}", 240 / batch_size.parse::<usize>().unwrap());
    assert!(error.contains("`ulimit -v` leaves") && error.contains("weights"), "{error}");
    let (code, error) = limited(&["--set", &smaller, "--set", &accumulated]);
    assert_eq!(code, Some(0), "{error}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn figures_of_a_run_are_read_by_tensorboard() {
    let place = Place::new();
    write(&place);
    write_validation(&place);
    place.good(&["run", "evaluated.yaml", "--set", "stages.sft.with.max_steps=8"]);
    let run = std::fs::read_dir(place.path("runs")).unwrap().next().unwrap().unwrap().path();
    let program = |words: &[&std::ffi::OsStr]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fingerpost"));
        command.arg("tensorboard").args(words).current_dir(place.folder.path()).output().unwrap()
    };
    let board = place.path("board");
    let output = program(&[run.as_os_str(), board.as_os_str()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(program(&[run.as_os_str(), board.as_os_str()]).status.code(), Some(2), "a folder that is not empty is left alone");
    let file = std::fs::read(board.join("sft/events.out.tfevents.0.fingerpost")).unwrap();
    assert!(file.windows(10).any(|bytes| bytes == b"train/loss") && file.windows(9).any(|bytes| bytes == b"eval/loss"));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = std::process::Command::new(&python).args(["-c", "import tensorboard"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: `{python}` has no `tensorboard`; PYTHON names another one");
        return;
    }
    let script = "import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
print(*[event.step for event in events.Scalars('train/loss')])
print(*[event.step for event in events.Scalars('eval/loss')])";
    let output = std::process::Command::new(&python).args(["-c", script]).arg(board.join("sft")).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "1 2 3 4 5 6 7 8\n4 8",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
