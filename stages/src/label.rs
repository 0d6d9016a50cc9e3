//! `uses: label`: the verdicts on a question decide which policy is right for it. Verdicts → labels, in the verdicts' order.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Context, Dataset, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    matrix,
    rows::{Grade, Label, Split, Verdict},
    sections::Policies,
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The policies in order of cost [default: the manifest's `policies`].
    #[serde(default)]
    policies: Policies,
    /// The policy of each cell: verdicts in order of cost, `correct/idk: Standard_Query` [default: the cheapest correct model
    /// decides].
    #[serde(default)]
    matrix: BTreeMap<String, String>,
}

ports! { pub struct Inputs { verdicts: Dataset<Verdict> } }
ports! { pub struct Outputs { labels: Dataset<Label> } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "label";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "decides from the verdicts which policy is right for each question";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let policies = params.policies.or_section(sections)?;
        let matrix = matrix::complete(params.matrix, &policies)?;
        Ok(Params { policies, matrix })
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let roles = params.policies.roles();
        let mut order = Vec::new();
        let mut questions: BTreeMap<String, (Split, BTreeMap<String, Grade>)> = BTreeMap::new();
        let mut strangers = BTreeSet::new();
        for verdict in inputs.verdicts.rows()? {
            let verdict = verdict?;
            if !roles.contains(&verdict.model) {
                strangers.insert(verdict.model);
                continue;
            }
            let (_, verdicts) = questions.entry(verdict.id.clone()).or_insert_with(|| {
                order.push(verdict.id.clone());
                (verdict.split, BTreeMap::new())
            });
            if verdicts.insert(verdict.model.clone(), verdict.verdict).is_some() {
                return Err(StageError::failed(format!("question `{}` has two verdicts on `{}`", verdict.id, verdict.model))
                    .help("give `label` the verdicts of one judge"));
            }
        }
        for stranger in strangers {
            ctx.warn(format!("no policy sends to `{stranger}`, so its verdicts have no part in the labels"));
        }
        let mut missing = 0;
        let mut labels = Vec::new();
        for id in order {
            let Some((split, verdicts)) = questions.remove(&id) else { continue };
            let grades: Option<Vec<_>> = roles.iter().map(|role| verdicts.get(role).copied()).collect();
            let Some(grades) = grades else {
                missing += 1;
                continue;
            };
            let cell = matrix::cell(&grades);
            let policy = params
                .matrix
                .get(&cell)
                .cloned()
                .ok_or_else(|| StageError::failed(format!("no policy is given for `{cell}`")).help("add it to `matrix`"))?;
            labels.push(Label { id, verdicts, cell, policy, split });
        }
        if missing > 0 {
            ctx.warn(format!("{missing} questions have no verdict on some model, and no label"));
        }
        if labels.is_empty() {
            return Err(StageError::failed("no question has a verdict on every model that a policy sends to")
                .help(format!("the policies send to {}; are these the roles in `models`?", roles.join(", "))));
        }
        Ok(Outputs { labels: Dataset::write(ctx, labels)? })
    }
}
