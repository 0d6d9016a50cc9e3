//! `uses: label`: the verdicts on a question decide which policy is right for it. Takes verdicts; gives labels, in the order of the verdicts.
//!
//! Read `matrix` (which combination of verdicts means which policy) first, then this file; `overrides` has a person's corrections of verdicts.

mod matrix;
mod overrides;

use std::collections::{BTreeMap, BTreeSet};

use engine::{Context, Dataset, File, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unanswered::Missing;
use crate::{
    defaults::is_default,
    rows::{Grade, Label, Split, Verdict},
    sections::Policies,
};

/// The params of `label`.
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
    /// What counts where a model has no verdict: `drop` the question, or `idk`, or `incorrect`.
    #[serde(default, skip_serializing_if = "is_default")]
    missing: Missing,
    /// Human verdicts that override the judge's: CSV or JSON lines with `id`, `model` and `verdict`.
    #[serde(default, skip_serializing_if = "is_default")]
    overrides: Option<File>,
}

ports! { pub struct Inputs { verdicts: Dataset<Verdict> } }
ports! { pub struct Outputs { labels: Dataset<Label> } }

/// The stage `label`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "label";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "decides from the verdicts which policy is right for each question";
    const EXAMPLE: &'static str = "\
stages:
  labels:
    uses: label
    in: { verdicts: verdicts }
    with: { missing: idk }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let policies = params.policies.clone().or_section(sections)?;
        let matrix = matrix::complete(params.matrix.clone(), &policies)?;
        Ok(Params { policies, matrix, ..params })
    }
}

impl engine::Stage for Stage {
    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let roles = params.policies.roles();
        let mut order = Vec::new();
        let mut questions: BTreeMap<String, (Split, BTreeMap<String, Grade>)> = BTreeMap::new();
        let mut strangers = BTreeSet::new();
        let mut judged: BTreeMap<String, u64> = BTreeMap::new();
        for verdict in inputs.verdicts.rows()? {
            let verdict = verdict?;
            if !roles.contains(&verdict.model) {
                strangers.insert(verdict.model);
                continue;
            }
            *judged.entry(verdict.model.clone()).or_default() += 1;
            let (_, verdicts) = questions.entry(verdict.id.clone()).or_insert_with(|| {
                order.push(verdict.id.clone());
                (verdict.split, BTreeMap::new())
            });
            if verdicts.insert(verdict.model.clone(), verdict.verdict).is_some() {
                return Err(StageError::failed(format!("question `{}` has two verdicts on `{}`", verdict.id, verdict.model))
                    .help("give `label` the verdicts of one judge"));
            }
        }
        if let Some(file) = &params.overrides {
            let overrides::Applied { given, changed } = overrides::apply(ctx, file, &mut questions)?;
            ctx.say(format!("{given} overrides, of which {changed} change a verdict"));
        }
        for stranger in &strangers {
            ctx.warn(format!("no policy sends to `{stranger}`, so its verdicts have no part in the labels"));
        }
        let mut missing = 0;
        let mut cells: BTreeMap<String, u64> = BTreeMap::new();
        let mut labels = Vec::new();
        for id in order {
            let Some((split, verdicts)) = questions.remove(&id) else { continue };
            missing += u64::from(roles.iter().any(|role| !verdicts.contains_key(role)));
            let grades = roles.iter().map(|role| verdicts.get(role).copied().or(params.missing.grade()));
            let Some(grades) = grades.collect::<Option<Vec<_>>>() else { continue };
            let cell = matrix::cell(&grades);
            let policy = params
                .matrix
                .get(&cell)
                .cloned()
                .ok_or_else(|| StageError::failed(format!("no policy is given for `{cell}`")).help("add it to `matrix`"))?;
            *cells.entry(format!("{cell} → {policy}")).or_default() += 1;
            labels.push(Label { id, verdicts, cell, policy, split });
        }
        if missing > 0 {
            let counted = params.missing.grade().map_or("they get no label".to_owned(), |grade| format!("it counts as {grade}"));
            ctx.warn(format!("{missing} questions have no verdict on some model: {counted}"));
        }
        let cells: Vec<_> = cells.iter().map(|(cell, count)| format!("{cell}: {count}")).collect();
        ctx.say(cells.join(", "));
        if labels.is_empty() {
            return Err(no_label(&roles, &judged, &strangers));
        }
        Ok(Outputs { labels: Dataset::write(ctx, labels)? })
    }
}

/// Returns the error that no question gets a label: there is no verdict at all, none on some model, or none on all models together.
fn no_label(roles: &[String], judged: &BTreeMap<String, u64>, strangers: &BTreeSet<String>) -> StageError {
    if judged.is_empty() && strangers.is_empty() {
        return StageError::failed("there is no verdict to decide from: the judge gave none").help(
            "it gives none where an answer is refused, blocked, truncated or empty, and where no reply of its model can be read; `missing` of the \
             judge says what counts for such answers",
        );
    }
    let counts = roles.iter().map(|role| format!("{} on `{role}`", judged.get(role).copied().unwrap_or(0)));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let error = StageError::failed(format!("no question has a verdict on every model that a policy sends to: {counts}"));
    if strangers.is_empty() {
        error.help("look at the answers without a verdict, which are refused, blocked, truncated or empty, or give `missing`: `idk` or `incorrect`")
    } else {
        error.help(format!("the policies send to {}; are these the roles in `models`?", roles.join(", ")))
    }
}
