//! The benchmark `arithmetic`. Takes a count and a seed; gives generated questions.

use serde_json::{Map, Value};

use super::{
    arithmetic,
    draft::Draft,
    loader::{Benchmark, Reads},
};

pub(crate) const ARITHMETIC: Benchmark = Benchmark {
    name: "arithmetic",
    summary: "generated arithmetic, with exact answers",
    example: "{ name: arithmetic, count: 3000, seed: 7 }",
    version: arithmetic::VERSION,
    reads: Reads::Nothing,
    published: &[],
    load: |_, settings| {
        let questions = arithmetic::generate(settings.count, settings.seed);
        let drafts = questions.into_iter().enumerate().map(|(index, question)| Draft {
            id: Some(format!("arithmetic-{}-{index}", settings.seed)),
            question: question.text,
            gold: question.gold,
            meta: Map::from_iter([("kind".to_owned(), Value::from(question.kind))]),
            ..Draft::default()
        });
        Ok(drafts.collect())
    },
};
