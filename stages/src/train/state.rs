//! The checkpoint of a training: what resuming needs besides settings and rows. Takes a training's state; gives files in a folder, and back.
//!
//! The order of rows, dropout and the schedule follow from the settings, so there is no random state to save.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{TrainError, evaluation::best::Best, objective::Objective, optimizer::Stepper, schedule::plateau::Plateau};
use crate::models::{Model, read_tensors, tensors_to_bytes};

const POSITION: &str = "training.json";
const TENSORS: &str = "training.safetensors";

/// Position of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Number of steps done.
    pub(super) step: usize,
    /// Number of tokens of these steps.
    pub(super) num_tokens: usize,
    /// The best evaluation so far.
    #[serde(default)]
    pub(super) best: Best,
    /// State of `reduce_lr_on_plateau`.
    #[serde(default)]
    pub(super) plateau: Plateau,
}

/// All that changes while a model is trained.
pub(super) struct State<'a> {
    pub(super) model: &'a mut Model,
    /// Names of the weights that are trained.
    pub(super) names: &'a [String],
    pub(super) optimizer: &'a mut Stepper,
    /// The objective, whose reference may change.
    pub(super) objective: &'a mut dyn Objective,
    /// The model of the best evaluation, if `load_best_model_at_end` asks for it.
    pub(super) best: &'a mut Option<Model>,
}

impl State<'_> {
    /// Writes the checkpoint into an existing folder.
    pub(super) fn save(&mut self, position: Position, folder: &Path) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        let reference = self.objective.reference().map(|model| &*model);
        let parts = [("model", Some(&*self.model)), ("reference", reference), ("best", self.best.as_ref())];
        for (part, model) in parts {
            for name in self.names {
                let Some(weight) = model.and_then(|model| model.parameters().get(name)) else { continue };
                tensors.insert(format!("{part}/{name}"), (weight.shape(), weight.clone().into_values()));
            }
        }
        let kept = self.optimizer.state(self.model.parameters(), self.names);
        tensors.extend(kept.map(|(name, values)| (name, (vec![values.len()], values))));
        let position = serde_json::to_vec(&position).expect("only numbers");
        let written = std::fs::write(folder.join(TENSORS), tensors_to_bytes(&tensors));
        written.and_then(|()| std::fs::write(folder.join(POSITION), position)).map_err(|error| TrainError::Unkept(error.into()))
    }

    /// Reads the checkpoint, and returns the position.
    pub(super) fn load(&mut self, folder: &Path) -> Result<Position, TrainError> {
        let position = std::fs::read(folder.join(POSITION)).map_err(|error| TrainError::Unkept(error.into()))?;
        let position: Position = serde_json::from_slice(&position).map_err(|error| TrainError::Damaged(error.to_string()))?;
        let mut tensors = read_tensors(&folder.join(TENSORS))?;
        if tensors.keys().any(|name| name.starts_with("best/")) {
            *self.best = Some(self.model.clone());
        }
        let mut take = |part: &str, name: &str, length: usize| {
            let found = tensors.remove(&format!("{part}/{name}")).filter(|(_, values)| values.len() == length);
            found
                .map(|(_, values)| values)
                .ok_or_else(|| TrainError::Damaged(format!("`{part}/{name}` is missing or of another shape")))
        };
        for name in self.names {
            let length = self.model.parameters().get(name).map_or(0, |weight| weight.shape().iter().product());
            let values = take("model", name, length)?;
            self.model.parameters_mut().set(name, values);
            if let Some(reference) = self.objective.reference().filter(|reference| reference.parameters().get(name).is_some()) {
                let values = take("reference", name, length)?;
                reference.parameters_mut().set(name, values);
            }
            if let Some(best) = &mut self.best {
                best.parameters_mut().set(name, take("best", name, length)?);
            }
        }
        self.optimizer.resume(position.step, self.model.parameters(), self.names, take)?;
        Ok(position)
    }
}
