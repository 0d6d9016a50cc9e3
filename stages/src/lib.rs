//! The kinds of stage that make a router, and all that they need. Takes manifests' stages; gives a [`registry`] that the engine runs.
//!
//! ```text
//! questions → answers → verdicts → labels ─┐
//!     └──────→ analyses ──────────────────→ examples → sft → dpo → evaluation
//! ```
//!
//! Read [`rows`] (the public format of what flows) first, then `kinds` in the order of the drawing. `llm` asks models, `sections` reads the
//! manifest's other blocks, `duplicates` finds repeated questions. [`models`] and [`tokenizer`] read and run checkpoints, [`train`] trains
//! them, [`router`] scores routes with them, and [`measures`] says how well they route. `commands` and `formats` are what the program has beside the
//! engine's, and `part` declares settings that several objects share. A kind is one folder or file and a word in the list below; a
//! benchmark, a judge, a provider, an architecture, a method, an optimiser, a baseline or a command is one file and a word in its own list.
//!
//! # Invariants
//!
//! - No stage knows a digest, a key or the store.
//! - No unit contains a role: a request to a model does not depend on the role that the model has.
//! - No row contains money, time or latency: prices are applied where they are needed, and equal work gives equal bytes.
//! - No analysis sees a gold answer, an answer, a verdict or a label.
//! - No training result depends on the number of cores, on load or on the clock.
//! - No data of others is in the repository: benchmarks and recordings are read by path.

mod commands;
mod defaults;
pub(crate) mod duplicates;
mod formats;
mod guarded;
mod kinds;
mod llm;
pub mod measures;
pub mod models;
mod part;
mod random;
mod regular;
pub mod router;
pub mod rows;
mod sections;
pub mod tokenizer;
pub mod train;
mod unpacked;

use engine::{Each, Registry, Services, Template};

/// Returns all that the program can run: kinds of stage, types of rows, sections, commands and templates of manifests.
pub fn registry() -> Registry {
    let registry = Registry::new()
        .kind::<kinds::benchmark::Stage>()
        .kind::<Each<kinds::answer::Stage>>()
        .kind::<Each<kinds::judge::Stage>>()
        .kind::<Each<kinds::analyse::Stage>>()
        .kind::<kinds::label::Stage>()
        .kind::<kinds::prepare::Stage>()
        .kind::<kinds::training::sft::Stage>()
        .kind::<kinds::training::dpo::Stage>()
        .kind::<kinds::training::orpo::Stage>()
        .kind::<kinds::evaluate::Stage>()
        .kind::<kinds::agreement::Stage>()
        .kind::<kinds::command::Stage>()
        .parts(kinds::benchmark::parts().chain(kinds::judge::parts()).chain(llm::providers::parts()))
        .services(Services::default().with(llm::calls::Accounts::default()).with(llm::providers::local::Checkpoints::default()));
    TEMPLATES
        .into_iter()
        .fold(formats::register(commands::register(sections::register(rows::register(registry)))), Registry::template)
}

const PRICES: (&str, &str) = ("prices.yaml", include_str!("../../pipelines/prices.yaml"));

const TEMPLATES: [Template; 9] = [
    Template { name: "quickstart", files: &[("quickstart.yaml", include_str!("../../pipelines/quickstart.yaml")), PRICES] },
    Template { name: "simpleqa", files: &[("simpleqa.yaml", include_str!("../../pipelines/simpleqa.yaml")), PRICES] },
    Template {
        name: "natural-questions",
        files: &[("natural-questions.yaml", include_str!("../../pipelines/natural-questions.yaml")), PRICES],
    },
    Template { name: "mmlu", files: &[("mmlu.yaml", include_str!("../../pipelines/mmlu.yaml")), PRICES] },
    Template { name: "truthfulqa", files: &[("truthfulqa.yaml", include_str!("../../pipelines/truthfulqa.yaml")), PRICES] },
    Template { name: "three-models", files: &[("three-models.yaml", include_str!("../../pipelines/three-models.yaml")), PRICES] },
    Template {
        name: "openai-compatible",
        files: &[("openai-compatible.yaml", include_str!("../../pipelines/openai-compatible.yaml")), PRICES],
    },
    Template { name: "recorded", files: &[("recorded.yaml", include_str!("../../pipelines/recorded.yaml")), PRICES] },
    Template {
        name: "unseen-routes",
        files: &[("unseen-routes.yaml", include_str!("../../pipelines/unseen-routes.yaml")), PRICES],
    },
];
