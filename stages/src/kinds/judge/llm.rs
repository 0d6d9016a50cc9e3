//! The judge `llm`: a model grades the answer. Takes a question and an answer; gives the grade of the majority.
//!
//! The model sees the question, gold, known wrong answers and the answer, and nothing else. Each vote is a request of its own; one that
//! cannot be read is asked for again, once. If votes tie, a second model is asked; without one the grade is `idk`.

use engine::{Ask, Context, File, ParamMistake, StageError};
use serde_json::{Value, json};

use super::grader::{self, Grader, Opening};
use crate::{
    defaults::is_default,
    llm::{
        completion::Completion,
        json_reply, model,
        prompt::{Template, lettered},
        request::{Reply, Request, Settings},
    },
    part::settings,
    rows::{Answer, Grade, Question},
};

const PROMPT: &str = include_str!("../../../prompts/judge@1.txt");

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// The model that judges, as `provider/name`, for `llm`.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String> = None,
        /// The model that is asked if the votes of `llm` tie.
        #[serde(skip_serializing_if = "Option::is_none")]
        second: Option<String> = None,
        /// How often `llm` judges each answer; the majority decides.
        #[serde(skip_serializing_if = "is_one")]
        votes: u32 = 1,
        /// How `llm` is asked [default: temperature 0 for a single vote].
        #[serde(skip_serializing_if = "is_default")]
        settings: Settings = Settings::default(),
        /// The prompt of `llm`, with `{question}`, `{gold}` and `{answer}` in it, and `{choices}` and `{wrong}` [default: `judge@1`].
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<File> = None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_one(votes: &u32) -> bool {
    *votes == 1
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "reason": { "type": "string" },
            "verdict": { "type": "string", "enum": ["correct", "incorrect", "idk"] },
        },
        "required": ["reason", "verdict"],
        "additionalProperties": false,
    })
}

pub(super) struct Judge {
    model: Request,
    second: Option<Request>,
    votes: u32,
    template: Template,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "llm";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "an answer is right if a model says so, which sees the question, the gold and the answer";
    const EXAMPLE: &'static str = "{ judge: llm, model: gemini/gemini-3.8-flash, votes: 3, second: openai/gpt-5 }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let no_model =
            || ParamMistake::new(&["judge"], "judge `llm` asks a model, and none is named", "add `model: PROVIDER/NAME`");
        let no_vote = || ParamMistake::new(&["votes"], "`votes` must be at least 1", "give 1 or more");
        let found = [params.model.is_none().then(no_model), (params.votes == 0).then(no_vote)];
        found.into_iter().flatten().collect()
    }

    fn models(params: &Params) -> Vec<(&'static str, &str)> {
        let named = [("model", params.model.as_deref()), ("second", params.second.as_deref())];
        named.into_iter().filter_map(|(field, model)| Some((field, model?))).collect()
    }

    fn settings(params: &Params) -> Settings {
        let temperature = params.settings.temperature.or((params.votes == 1).then_some(0.0));
        Settings { temperature, schema: Some(schema()), ..params.settings.clone() }
    }

    fn open(ctx: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        let open = |asked: &String| model::request(ctx, asked, common.providers, common.settings_of);
        let model = params.model.as_ref().ok_or_else(|| StageError::failed("judge `llm` needs a model"))?;
        Ok(Self {
            model: open(model)?,
            second: params.second.as_ref().map(open).transpose()?,
            votes: params.votes,
            template: Template::read(ctx, params.prompt.as_ref(), PROMPT, &["question", "gold", "answer"])?,
        })
    }
}

impl Grader for Judge {
    fn units(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Vec<Ask<Completion>> {
        self.hear(question, answer, replies).next.into_iter().map(Ask::Call).collect()
    }

    fn grade(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Result<Option<(Grade, String)>, StageError> {
        let heard = self.hear(question, answer, replies);
        Ok(match majority(&heard.votes) {
            Majority::Clear(vote) => Some(vote),
            Majority::Tie => heard.second.or(Some((Grade::Idk, "the votes tie".to_owned()))),
            Majority::None => heard.second,
        })
    }
}

impl Judge {
    /// Reads the replies in the order in which they were asked for. Returns the votes and the requests that are still to be sent.
    fn hear(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Heard {
        let mut replies = replies.iter();
        let requests = (0..self.votes).map(|sample| Request { sample, ..self.request(&self.model, question, answer) });
        let (votes, next) = listen(requests.collect(), &mut replies);
        let mut heard = Heard { votes, second: None, next };
        if let Some(second) = &self.second
            && heard.next.is_empty()
            && !matches!(majority(&heard.votes), Majority::Clear(_))
        {
            let (votes, next) = listen(vec![self.request(second, question, answer)], &mut replies);
            heard.second = votes.into_iter().next();
            heard.next = next;
        }
        heard
    }

    fn request(&self, model: &Request, question: &Question, answer: &Answer) -> Request {
        let wrong =
            if question.wrong.is_empty() { String::new() } else { format!("\n<wrong>\n{}\n</wrong>", question.wrong.join("\n")) };
        let values = [
            ("question", question.question.clone()),
            ("choices", lettered(&question.choices)),
            ("gold", question.gold.join("\n")),
            ("wrong", wrong),
            ("answer", answer.text.clone().unwrap_or_default()),
        ];
        Request { prompt: self.template.with(&values), ..model.clone() }
    }
}

struct Heard {
    votes: Vec<(Grade, String)>,
    second: Option<(Grade, String)>,
    next: Vec<Request>,
}

/// Returns the votes of the requests, and the requests that are still to be sent. A vote that cannot be read is asked for again, once.
fn listen<'a>(requests: Vec<Request>, replies: &mut impl Iterator<Item = &'a Reply>) -> (Vec<(Grade, String)>, Vec<Request>) {
    let first: Vec<_> = replies.take(requests.len()).collect();
    if first.len() < requests.len() {
        return (Vec::new(), requests);
    }
    let mut votes = Vec::new();
    let mut repairs = Vec::new();
    for (request, reply) in requests.into_iter().zip(first) {
        match json_reply::said(reply).map(|said| (said, vote(said))) {
            Some((_, Ok(vote))) => votes.push(vote),
            Some((said, Err(problem))) => repairs.push(json_reply::repair(request, said, &problem)),
            // A blocked, refused or truncated reply is no vote, and the same request would bring the same.
            None => {}
        }
    }
    let mut missing = Vec::new();
    for repair in repairs {
        match replies.next() {
            Some(reply) => votes.extend(json_reply::said(reply).and_then(|said| vote(said).ok())),
            None => missing.push(repair),
        }
    }
    (votes, missing)
}

fn vote(said: &str) -> Result<(Grade, String), String> {
    let object = json_reply::object(said)?;
    let verdict = object.get("verdict").and_then(Value::as_str).ok_or("there is no `verdict` in it")?;
    let grade = verdict.trim().to_lowercase().parse()?;
    Ok((grade, object.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned()))
}

enum Majority {
    Clear((Grade, String)),
    Tie,
    None,
}

fn majority(votes: &[(Grade, String)]) -> Majority {
    let count = |grade: Grade| votes.iter().filter(|(vote, _)| *vote == grade).count();
    let most = Grade::ALL.into_iter().map(count).max().unwrap_or(0);
    let leaders: Vec<_> = Grade::ALL.into_iter().filter(|grade| most > 0 && count(*grade) == most).collect();
    match leaders.as_slice() {
        [] => Majority::None,
        [leader] => votes.iter().find(|(vote, _)| vote == leader).map_or(Majority::None, |vote| Majority::Clear(vote.clone())),
        _ => Majority::Tie,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Outcome;

    fn reply(text: &str) -> Reply {
        Reply { text: Some(text.to_owned()), ..Reply::without_text(Outcome::Ok, "") }
    }

    fn request() -> Request {
        Request {
            provider: "openai",
            version: 1,
            base_url: String::new(),
            query: std::collections::BTreeMap::new(),
            dialect: crate::llm::request::Dialect::default(),
            model: String::new(),
            settings: Settings::default(),
            prompt: Vec::new(),
            sample: 0,
            account: String::new(),
        }
    }

    #[test]
    fn an_unreadable_vote_is_asked_for_once_more() {
        let said = [reply("It is right."), reply("{\"verdict\": \"Correct\", \"reason\": \"same\"}")];
        let (votes, next) = listen(vec![request()], &mut said[..1].iter());
        assert!(votes.is_empty());
        assert_eq!(next[0].prompt.len(), 2, "the reply and what is wrong with it");
        let (votes, next) = listen(vec![request()], &mut said.iter());
        assert_eq!((votes, next.len()), (vec![(Grade::Correct, "same".to_owned())], 0));
        let (votes, next) = listen(vec![request()], &mut [said[0].clone(), said[0].clone()].iter());
        assert!(votes.is_empty() && next.is_empty(), "once is enough");
    }

    #[test]
    fn most_votes_decide_and_a_tie_decides_nothing() {
        let votes = |words: &[&str]| words.iter().map(|word| (word.parse().unwrap(), String::new())).collect::<Vec<_>>();
        assert!(matches!(majority(&votes(&["correct", "idk", "correct"])), Majority::Clear((Grade::Correct, _))));
        assert!(matches!(majority(&votes(&["correct", "incorrect"])), Majority::Tie));
        assert!(matches!(majority(&[]), Majority::None));
    }
}
