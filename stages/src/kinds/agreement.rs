//! `uses: agreement`: how far a judge's verdicts agree with a reference's: people's, or those of a judge that cannot err. Takes two lists of
//! verdicts on the same answers; gives figures, over all answers and by the model that answered.

use std::collections::BTreeMap;

use engine::{Context, Dataset, Metrics, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    measures::agreement::{Agreement, Pair, agreement},
    rows::{Grade, Verdict},
};

/// The params of `agreement`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Seed of the bootstrap that gives the intervals.
    #[serde(default)]
    seed: u64,
}

ports! { pub struct Inputs { verdicts: Dataset<Verdict>, reference: Dataset<Verdict> } }
ports! { pub struct Outputs { metrics: Metrics } }

/// The stage `agreement`.
pub(crate) struct Stage;

/// The stage's metrics.
#[derive(Serialize)]
struct Report {
    /// The number of questions with at least one answer that both judge.
    questions: usize,
    /// The number of the judge's verdicts on answers that the reference does not judge.
    only_verdicts: usize,
    /// The number of the reference's verdicts on answers that the judge does not judge.
    only_reference: usize,
    all: Agreement,
    models: BTreeMap<String, Agreement>,
}

impl engine::Kind for Stage {
    const KIND: &'static str = "agreement";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "measures how far a judge agrees with a reference";
    const EXAMPLE: &'static str = "\
stages:
  agreement:
    uses: agreement
    in: { verdicts: verdicts, reference: ./people.jsonl }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;
}

impl engine::Stage for Stage {
    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let verdicts = read(&inputs.verdicts, "verdicts")?;
        let mut reference = read(&inputs.reference, "reference")?;
        let mut questions: BTreeMap<&str, BTreeMap<&str, Pair>> = BTreeMap::new();
        let mut only_verdicts = 0;
        for ((id, model), grade) in &verdicts {
            match reference.remove(&(id.clone(), model.clone())) {
                Some(right) => {
                    questions.entry(id).or_default().insert(model, (*grade, right));
                }
                None => only_verdicts += 1,
            }
        }
        if questions.is_empty() {
            return Err(StageError::failed("no answer has a verdict on both sides")
                .help("give `verdicts` and `reference` that judge the same answers, with the same ids and roles"));
        }
        let all: Vec<Vec<Pair>> = questions.values().map(|pairs| pairs.values().copied().collect()).collect();
        let mut by_model: BTreeMap<&str, Vec<Vec<Pair>>> = BTreeMap::new();
        for pairs in questions.values() {
            for (model, pair) in pairs {
                by_model.entry(model).or_default().push(vec![*pair]);
            }
        }
        let report = Report {
            questions: questions.len(),
            only_verdicts,
            only_reference: reference.len(),
            all: agreement(&all, params.seed),
            models: by_model.iter().map(|(model, pairs)| ((*model).to_owned(), agreement(pairs, params.seed))).collect(),
        };
        tell(ctx, &report);
        Ok(Outputs { metrics: Metrics::write(ctx, &report)? })
    }
}

fn read(rows: &Dataset<Verdict>, side: &str) -> Result<BTreeMap<(String, String), Grade>, StageError> {
    let mut grades = BTreeMap::new();
    for verdict in rows.rows()? {
        let Verdict { id, model, verdict, .. } = verdict?;
        if grades.insert((id.clone(), model.clone()), verdict).is_some() {
            return Err(StageError::failed(format!("`{side}` has two verdicts on `{model}` for question `{id}`"))
                .help("give the verdicts of one judge"));
        }
    }
    Ok(grades)
}

fn tell(ctx: &Context, report: &Report) {
    let all = &report.all;
    let figure = |value: Option<f64>| value.map_or("undefined".to_owned(), |value| format!("{value:.3}"));
    ctx.say(format!(
        "{} pairs: agreement {}, kappa {}, precision {}, recall {}",
        all.pairs,
        figure(all.agreement.value),
        figure(all.kappa.value),
        figure(all.precision.value),
        figure(all.recall.value),
    ));
    if report.only_verdicts + report.only_reference > 0 {
        ctx.warn(format!(
            "{} verdicts have no reference, and {} of the reference no verdict",
            report.only_verdicts, report.only_reference
        ));
    }
    for (model, measured) in &report.models {
        let others = report.models.iter().filter(|(other, _)| *other != model);
        let highest = others.filter_map(|(_, other)| Some(other.leniency.interval?[1])).max_by(f64::total_cmp);
        if let (Some([low, _]), Some(highest)) = (measured.leniency.interval, highest)
            && low > highest
        {
            ctx.warn(format!(
                "the judge is kinder to `{model}` than to the others: it calls {} of its wrong answers correct",
                figure(measured.leniency.value)
            ));
        }
    }
}
