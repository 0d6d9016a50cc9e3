//! `uses: evaluate`: the router's decisions on held-out questions, beside everything that they have to be measured against. Takes a
//! checkpoint, questions, answers, verdicts and labels; gives metrics, predictions, and the checkpoint with a complete `router.json`.
//!
//! Read this file: it scores the routes of every question and hands the decisions to `measures`. `routes` has routes that the router
//! was not trained with.

mod routes;

use std::collections::BTreeMap;

use engine::{Checkpoint, Context, Dataset, Lack, Metrics, ParamMistake, Sections, StageError, Surroundings, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{errors, join::ById};
use crate::{
    measures::{self, Case, Decision},
    models::{self, DeviceName},
    router::{
        self, OperatingPoint, RoleModel, Router, Rule,
        prompt::{self, Form},
        score,
    },
    rows::{Answer, Grade, Label, Message, Prediction, Question, Split, Usage, Verdict},
    sections::{Policies, Prices},
};
use routes::Route;

/// The params of `evaluate`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The policies in order of cost [default: the manifest's `policies`].
    #[serde(default)]
    policies: Policies,
    /// What tokens cost [default: the manifest's `prices`].
    #[serde(default)]
    prices: Prices,
    /// Routes that replace those of the training, to test whether the router reads descriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
    /// The split to measure on.
    #[serde(default = "test")]
    split: Split,
    /// Seed of the bootstrap that gives the intervals.
    #[serde(default)]
    seed: u64,
    /// Device of the router: `auto`, `cpu`, `cuda` or `cuda:N`; no part of the key.
    #[serde(default, skip_serializing)]
    device: DeviceName,
}

fn test() -> Split {
    Split::Test
}

ports! {
    pub struct Inputs {
        checkpoint: Checkpoint,
        questions: Dataset<Question>,
        answers: Dataset<Answer>,
        verdicts: Dataset<Verdict>,
        labels: Dataset<Label>,
    }
}
ports! { pub struct Outputs { metrics: Metrics, predictions: Dataset<Prediction>, router: Checkpoint } }

/// The name under which `prices` lists the price of the router's own tokens.
const OWN: &str = "local/router";

/// The stage `evaluate`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "evaluate";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "measures the router on held-out questions, beside single models, mixes, the oracle and cheap routers";
    const EXAMPLE: &'static str = "\
stages:
  evaluation:
    uses: evaluate
    in: { checkpoint: dpo.checkpoint, questions: questions, answers: answers, verdicts: verdicts, labels: labels }
    with: { split: test }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let prices = if params.prices.0.is_empty() { (*sections.get::<Prices>()).clone() } else { params.prices };
        let policies = params.policies.or_section(sections)?;
        let mistakes = routes::mistakes(&params.routes, &policies);
        if mistakes.is_empty() { Ok(Params { policies, prices, ..params }) } else { Err(mistakes) }
    }

    fn preflight(params: &Params, _: &Surroundings<'_>) -> Vec<Lack> {
        errors::absent(params.device)
    }
}

impl engine::Stage for Stage {
    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let cases = Cases::read(params, &inputs)?;
        let folder = ctx.scratch();
        inputs.checkpoint.copy_to(folder)?;
        let router = Router::load(folder)?;
        let trained_on = router.policies();
        let named = |policies: &Policies| policies.0.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>();
        if named(&trained_on) != named(&params.policies) {
            return Err(StageError::failed(format!(
                "the checkpoint chooses between {}, and the labels between {}",
                trained_on.names(),
                params.policies.names()
            ))
            .help("train it on these labels"));
        }
        for warning in routes::without_keyword(&params.routes, &trained_on) {
            ctx.warn(warning);
        }
        let device = params.device.open()?;
        let checkpoint = models::Checkpoint::load(folder).map_err(StageError::failed)?.on(&device);
        ctx.check()?;

        let (shown, policies, places) = if params.routes.is_empty() {
            (trained_on.clone(), params.policies.clone(), (0..params.policies.0.len()).collect())
        } else {
            routes::shown(&params.routes, &params.policies)
        };
        let prompts: Vec<_> = cases.test.iter().map(|case| prompt::prompt(&shown, &case.text, Form::Direct)).collect();
        let keywords = trained_on.keywords();
        let said = |name: &str| keywords.iter().map(|keyword| prompt::completion(None, *keyword, name)).collect::<Vec<_>>();
        let candidates: Vec<_> = shown.0.iter().flat_map(|route| said(&route.name)).collect();
        let scores = score::score(&checkpoint, &prompts, &candidates).map_err(StageError::failed)?;
        let decisions: Vec<_> = scores.iter().map(|scores| decision(scores, keywords.len(), &places)).collect();
        let usages = usages(&checkpoint, &prompts, &candidates)?;
        let own_cost = params.prices.0.get(OWN).map(|price| usages.iter().map(|usage| price.cost(usage)).sum());
        ctx.check()?;

        let choices = policies.0.iter().map(|policy| measures::Policy { name: policy.name.clone(), model: policy.model.clone() });
        let choices: Vec<_> = choices.collect();
        let metrics =
            measures::evaluate(&choices, &params.policies.roles(), &cases.train, &cases.test, &decisions, own_cost, params.seed)
                .map_err(StageError::failed)?;
        ctx.say(headline(&metrics, &params.policies.roles()));
        for note in &metrics.notes {
            ctx.warn(note.as_str());
        }
        let predictions = cases.test.iter().zip(&decisions).zip(usages).map(|((case, decision), usage)| {
            let policy = &policies.0[highest(&decision.probabilities)];
            let scores = policies.0.iter().zip(&decision.probabilities);
            Prediction {
                id: case.id.clone(),
                policy: policy.name.clone(),
                scores: scores.map(|(policy, probability)| (policy.name.clone(), *probability)).collect(),
                model: policy.model.clone(),
                verdict: cases.verdicts.get(&(case.id.clone(), policy.model.clone())).copied(),
                usage,
            }
        });
        let router = complete(router, params, &cases.models, &metrics);
        let router = inputs.checkpoint.with_file(router::FILE, router.to_text()?.as_bytes())?;
        let predictions = Dataset::write(ctx, predictions)?;
        Ok(Outputs { metrics: Metrics::write(ctx, &metrics)?, predictions, router })
    }
}

/// Completes a `router.json` with what `route` and `serve` need and training does not know: models, prices and the operating point.
fn complete(router: Router, params: &Params, models: &BTreeMap<String, String>, metrics: &measures::Metrics) -> Router {
    let model = |asked: &str| {
        let (provider, model) = asked.split_once('/').unwrap_or(("", asked));
        RoleModel { provider: provider.to_owned(), model: model.to_owned() }
    };
    let of_use = |name: &String| name == OWN || models.values().any(|asked| asked == name);
    Router {
        version: 2,
        roles: models.iter().map(|(role, asked)| (role.clone(), model(asked))).collect(),
        prices: params
            .prices
            .0
            .iter()
            .filter(|(name, _)| of_use(name))
            .map(|(name, price)| (name.clone(), price.clone()))
            .collect(),
        operating_point: Some(OperatingPoint {
            rule: Rule::HighestProbability,
            rows: metrics.rows,
            policy_accuracy: metrics.policy_accuracy,
            accuracy: metrics.accuracy,
            cost_share: metrics.cost_share,
        }),
        ..router.sending(&params.policies)
    }
}

/// The labelled questions, with the verdict on each model's answer and its cost.
struct Cases {
    train: Vec<Case>,
    test: Vec<Case>,
    verdicts: BTreeMap<(String, String), Grade>,
    /// The model that was asked in each role, as `provider/model`.
    models: BTreeMap<String, String>,
}

impl Cases {
    fn read(params: &Params, inputs: &Inputs) -> Result<Self, StageError> {
        let questions = ById::read(&inputs.questions, "question", |question| &question.id)?;
        let mut costs: BTreeMap<String, BTreeMap<String, Option<f64>>> = BTreeMap::new();
        let mut models = BTreeMap::new();
        for answer in inputs.answers.rows()? {
            let answer = answer?;
            models.entry(answer.model.clone()).or_insert_with(|| answer.asked.clone());
            let cost = params.prices.0.get(&answer.asked).map(|price| price.cost(&answer.usage));
            costs.entry(answer.id).or_default().insert(answer.model, cost);
        }
        let mut verdicts = BTreeMap::new();
        for verdict in inputs.verdicts.rows()? {
            let verdict = verdict?;
            verdicts.insert((verdict.id, verdict.model), verdict.verdict);
        }
        let mut cases = Self { train: Vec::new(), test: Vec::new(), verdicts, models };
        for label in inputs.labels.rows()? {
            let label = label?;
            let case = Case {
                text: questions.get(&label.id)?.question.clone(),
                cost: costs.remove(&label.id).unwrap_or_default(),
                id: label.id,
                policy: label.policy,
                outcomes: label.verdicts,
            };
            if label.split == params.split {
                cases.test.push(case);
            } else if label.split == Split::Train {
                cases.train.push(case);
            }
        }
        Ok(cases)
    }
}

/// Turns the scores of a prompt's candidates into a probability of each choice: the sum over the route's name after each key word.
/// `of_a_route` is the number of candidates of each route, which are in a row; `places` has the place of the route of each choice.
fn decision(scores: &[f64], of_a_route: usize, places: &[usize]) -> Decision {
    let of_route = |place: &usize| &scores[place * of_a_route..][..of_a_route];
    let scores: Vec<_> = places.iter().flat_map(of_route).copied().collect();
    Decision { probabilities: softmax(&scores).chunks(of_a_route).map(|of_route| of_route.iter().sum()).collect() }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<_> = scores.iter().map(|score| (score - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Returns the place of the highest value; of equal ones, the first.
fn highest(values: &[f64]) -> usize {
    (0..values.len()).reduce(|best, place| if values[place] > values[best] { place } else { best }).unwrap_or(0)
}

fn usages(checkpoint: &models::Checkpoint, prompts: &[Vec<Message>], candidates: &[String]) -> Result<Vec<Usage>, StageError> {
    let mut output = 0;
    for candidate in candidates {
        let turn = [Message::new("assistant", candidate.as_str())];
        output += checkpoint.tokenizer.render_completion(&turn).map_err(StageError::failed)?.len() as u64;
    }
    prompts
        .iter()
        .map(|prompt| {
            Ok(Usage {
                input: checkpoint.tokenizer.render_prompt(prompt).map_err(StageError::failed)?.len() as u64,
                output,
                ..Usage::default()
            })
        })
        .collect()
}

fn headline(metrics: &measures::Metrics, roles: &[String]) -> String {
    let dearest = roles.last().and_then(|role| metrics.baselines.get(role));
    let against = dearest.and_then(|baseline| baseline.accuracy).map_or_else(String::new, |accuracy| {
        format!(" (always {}: {:.1} %)", roles.last().map_or("", String::as_str), 100.0 * accuracy)
    });
    let share = metrics.cost_share.map_or_else(String::new, |share| format!(", at {:.0} % of its cost", 100.0 * share));
    format!(
        "right policy {:.1} %, accuracy {:.1} %{against}{share}, on {} questions",
        100.0 * metrics.policy_accuracy,
        100.0 * metrics.accuracy,
        metrics.rows
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_as_probable_as_its_name_after_any_key_word() {
        let scores: Vec<f64> = [0.1, 0.05, 0.05, 0.3, 0.2, 0.2].map(f64::ln).into();
        let probabilities = decision(&scores, 2, &[2, 0, 1]).probabilities;
        for (found, expected) in probabilities.iter().zip([0.4 / 0.9, 0.15 / 0.9, 0.35 / 0.9]) {
            assert!((found - expected).abs() < 1e-12, "{probabilities:?}");
        }
        let unsure = decision(&[-1000.0, -1001.0], 1, &[0, 1]).probabilities;
        assert!((unsure[0] - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-12, "{unsure:?}");
    }
}
