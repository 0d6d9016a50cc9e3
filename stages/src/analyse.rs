//! `uses: analyse`: what a question alone shows. Questions → analyses. Neither gold nor answers nor labels come near it.

use std::collections::BTreeMap;

use engine::{Ask, Context, Dataset, EachRow, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    completion::{Completion, Reply},
    rows::{Analysis, Question},
    rules,
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// `rules`: facts read off the text by a program.
    #[serde(default = "by_rules")]
    by: String,
}

fn by_rules() -> String {
    "rules".to_owned()
}

ports! { pub struct Inputs { questions: Dataset<Question> } }
ports! { pub struct Outputs { analyses: Dataset<Analysis> } }

/// The stage.
pub(crate) struct Stage;

impl EachRow for Stage {
    const KIND: &'static str = "analyse";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "says what the question alone shows";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;
    type In = Question;
    type Out = Analysis;
    type Effect = Completion;

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        if params.by == "rules" {
            return Ok(params);
        }
        Err(vec![ParamMistake {
            field: vec!["by".to_owned()],
            message: format!("nothing analyses by `{}`", params.by),
            help: "write `by: rules`".to_owned(),
        }])
    }

    fn parts(_: &Params) -> BTreeMap<String, u32> {
        BTreeMap::from([("analyse/rules".to_owned(), rules::VERSION)])
    }

    fn name(question: &Question) -> String {
        format!("question `{}`", question.id)
    }

    fn open(_: &Context, _: &Params, inputs: Inputs) -> Result<(Self, Dataset<Question>), StageError> {
        Ok((Self, inputs.questions))
    }

    fn units(&self, _: &Question, _: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        Ok(Vec::new())
    }

    fn rows(&self, question: Question, _: Vec<Reply>) -> Result<Vec<Analysis>, StageError> {
        let (features, reasoning) = rules::analyse(&question.question);
        Ok(vec![Analysis { id: question.id, features, reasoning }])
    }

    fn outputs(analyses: Dataset<Analysis>) -> Outputs {
        Outputs { analyses }
    }
}
