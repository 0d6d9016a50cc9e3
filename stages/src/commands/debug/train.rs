//! `debug train`. Takes a `stage.json`; gives a training's rows, figures and weights.

use std::{
    collections::BTreeMap,
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
};

use clap::Args;
use engine::{CommandError, StageError};
use serde_json::{Map, Value};

use crate::{
    commands::files::{write, write_json},
    kinds::training,
    models::{Batch, Outline, Values, tensors_to_bytes},
    train::{
        self, Method, Step, Stop, TrainError, TrainingRun, Watch,
        dpo::Dpo,
        orpo::Orpo,
        prepared::{self, columns},
        settings::{Settings, StageFile},
        sft::Sft,
    },
};

/// Train as a `stage.json` says
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Train {
    /// Settings under TRL's and PEFT's names; paths in it are relative to it
    #[arg(long, value_name = "FILE")]
    stage: PathBuf,
    /// Folder for the prepared rows, the figures, and the adapter or model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug train --stage stage.json --out trained

`fingerpost kinds sft` and `fingerpost kinds dpo` describe the settings.";

/// Trains by the method that a `stage.json` names.
type By = fn(&Train, StageFile) -> Result<(), CommandError>;

/// The methods, by the value of `stage` in a `stage.json`.
const METHODS: &[(&str, By)] = &[by::<Sft>(), by::<Dpo>(), by::<Orpo>()];

const fn by<M: Method>() -> (&'static str, By) {
    (M::NAME, Train::by::<M>)
}

/// The figures of a training that are written to files.
struct Notes {
    /// PEFT's names of the trained weights, by our names.
    names: BTreeMap<String, String>,
    steps: Vec<Step>,
    evaluations: Vec<Step>,
    first_grad_norms: BTreeMap<String, f64>,
}

impl Watch for Notes {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        self.steps.push(step.clone());
        Ok(())
    }

    fn evaluated(&mut self, evaluation: &Step) {
        self.evaluations.push(evaluation.clone());
    }

    fn first_gradients(&mut self, names: &[String], gradients: &[Values]) {
        for (name, gradient) in names.iter().zip(gradients) {
            let squares: f64 = gradient.to_vec().into_iter().map(|value| f64::from(value) * f64::from(value)).sum();
            self.first_grad_norms.insert(self.names[name].clone(), squares.sqrt());
        }
    }
}

impl Train {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let (train_by, stage) = StageFile::open(&self.stage, METHODS).map_err(CommandError::usage)?;
        train_by(self, stage)
    }

    fn by<M: Method>(&self, stage: StageFile) -> Result<(), CommandError> {
        let (settings, files): (Settings<M>, _) = stage.read().map_err(CommandError::usage)?;
        let failed = |error: TrainError| CommandError::from(training::failed(error));
        let tokenizer = prepared::tokenizer(&files).map_err(|error| failed(error.into()))?;
        let rows = |path: &Path, range| {
            let columns = columns::read(path, range).map_err(|error| failed(error.into()))?;
            let rows = settings.method.prepare(&tokenizer, &columns, settings.training.max_length);
            rows.map_err(|error| failed(error.into()))
        };
        let mut learned = rows(&files.train_data, files.train_rows)?;
        let mut evaluated = files.eval_data.as_ref().map(|path| rows(path, files.eval_rows)).transpose()?;
        let start = Outline::of_folder(&files.base_model).map_err(|error| failed(error.into()))?;
        let warning = train::check_memory(&start, &settings, &learned).map_err(failed)?;
        let (model, adapter) = train::open(&files.base_model, &settings.training).map_err(failed)?;
        let named = |name: String| (name.clone(), model.peft_parameter(&name, adapter.as_ref()));
        let names = model.trained_names().into_iter().map(named).collect();
        let mut notes = Notes { names, steps: Vec::new(), evaluations: Vec::new(), first_grad_norms: BTreeMap::new() };
        if let Some(warning) = warning {
            notes.warn(&warning);
        }
        let trained = train::run(TrainingRun {
            model,
            settings: &settings,
            rows: &mut learned,
            evaluation: evaluated.as_mut(),
            watch: &mut notes,
        })
        .map_err(failed)?;
        let unwritten = |error| StageError::environment(format!("`{}` cannot be written: {error}", self.out.display()));
        let folder = self.out.join(if adapter.is_some() { "adapter" } else { "model" });
        fs::create_dir_all(&folder).map_err(unwritten)?;
        let prepared = BufWriter::new(fs::File::create(self.out.join("prepared.jsonl")).map_err(unwritten)?);
        learned.write(prepared).map_err(unwritten)?;
        write(&self.out.join("metrics.jsonl"), &lines(&notes.steps)?)?;
        if evaluated.is_some() {
            write(&self.out.join("eval_metrics.jsonl"), &lines(&notes.evaluations)?)?;
        }
        write_json(&self.out.join("first_grad_norms.json"), &notes.first_grad_norms)?;
        let written = match &adapter {
            Some(config) => trained.model.save_adapter(&folder, config),
            None => trained.model.save(&folder),
        };
        written.map_err(StageError::failed)?;
        if files.probe_input_ids.is_empty() {
            return Ok(());
        }
        let wrong = |error: String| CommandError::usage(format!("`{}`: `probe_input_ids`: {error}", self.stage.display()));
        let probe = Batch::plain(std::slice::from_ref(&files.probe_input_ids)).map_err(|error| wrong(error.to_string()))?;
        trained.model.check(&probe).map_err(|error| wrong(error.to_string()))?;
        let places: Vec<usize> = (0..probe.width).collect();
        let logits = trained.model.logits_at(&probe, &places).into_data().try_into_vec::<f32>().expect("logits are f32");
        let shape = vec![1, probe.width, trained.model.vocab_size()];
        write(&self.out.join("probe_logits.safetensors"), &tensors_to_bytes(&[("logits".to_owned(), (shape, logits))].into()))
    }
}

/// Returns a JSON line for each step, with its number and its figures.
fn lines(steps: &[Step]) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    for Step { step, epoch, metrics, .. } in steps {
        let mut line: Map<String, Value> =
            [("step".to_owned(), (*step).into()), ("epoch".to_owned(), (*epoch).into())].into_iter().collect();
        line.extend(metrics.iter().map(|(name, &figure)| (name.clone(), figure.into())));
        serde_json::to_writer(&mut bytes, &line).map_err(StageError::failed)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}
