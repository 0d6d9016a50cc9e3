//! The judge `llm`: a model grades the answer. Takes a question and an answer; gives the grade of the majority.
//!
//! The model sees the question, gold, known wrong answers and the answer, and nothing else. Each vote is a request of its own; one that
//! cannot be read is asked for again, once, and one that is cut at the cap, once, with a larger cap. If votes tie, a second model is
//! asked; without one the grade is `idk`.

use engine::{Ask, Context, ParamMistake, StageError};
use serde_json::{Map, Value};

use super::grader::{self, Graded, Grader, Opening};
use crate::{
    defaults::is_default,
    llm::{
        completion::Completion,
        model,
        prompt::Template,
        released::{JUDGE, Prompt},
        request::{Reply, Request, Settings},
        structured::{Field, Form, Heard, Outside, hear},
    },
    part::settings,
    rows::{Answer, Grade, Question},
};

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
        /// The prompt of `llm`, `judge@1` or a file with `{question}`, `{gold}` and `{answer}` in it, `{choices}` and `{wrong}`, and
        /// `{mark}`, which no answer can hold, in lines around them [default: `judge@2`].
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<Prompt> = None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_one(votes: &u32) -> bool {
    *votes == 1
}

const FORM: Form =
    Form { fields: &[("reason", Field::Text), ("verdict", Field::OneOf(&["correct", "incorrect", "idk"]))], decides: "verdict" };

pub(super) struct Judge {
    model: Request,
    second: Option<Request>,
    votes: u32,
    template: Template,
    /// Whether the manifest leaves the prompt open.
    newest: bool,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "llm";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "an answer is right if a model says so, which sees the question, the gold and the answer";
    const EXAMPLE: &'static str = "{ judge: llm, model: gemini/gemini-3.8-flash, votes: 3, second: openai/gpt-5 }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let no_model =
            || ParamMistake::new(&["judge"], "judge `llm` asks a model, and none is named", "add `model: PROVIDER/NAME`");
        let no_vote = || ParamMistake::new(&["votes"], "`votes` must be at least 1", "give 1 or more");
        let foreign = params.prompt.as_ref().and_then(|prompt| prompt.mistake(JUDGE.kind));
        let found = [params.model.is_none().then(no_model), (params.votes == 0).then(no_vote), foreign];
        found.into_iter().flatten().collect()
    }

    fn models(params: &Params) -> Vec<(&'static str, &str)> {
        let named = [("model", params.model.as_deref()), ("second", params.second.as_deref())];
        named.into_iter().filter_map(|(field, model)| Some((field, model?))).collect()
    }

    fn settings(params: &Params) -> Settings {
        let temperature = params.settings.temperature.or((params.votes == 1).then_some(0.0));
        let schema = FORM.schema(Prompt::shows_mark(params.prompt.as_ref(), &JUDGE));
        Settings { temperature, schema: Some(schema), ..params.settings.clone() }
    }

    fn open(ctx: &Context, params: &Params, common: &Opening<'_>) -> Result<Self, StageError> {
        let template = Template::of(ctx, params.prompt.as_ref(), &JUDGE, &["question", "gold", "answer"])?;
        let open = |asked: &String| -> Result<Request, StageError> {
            let request = model::request(ctx, asked, common.providers, common.settings_of)?;
            Ok(FORM.asked_by(request, template.takes("mark")))
        };
        let model = params.model.as_ref().ok_or_else(|| StageError::failed("judge `llm` needs a model"))?;
        Ok(Self {
            model: open(model)?,
            second: params.second.as_ref().map(open).transpose()?,
            votes: params.votes,
            newest: params.prompt.is_none(),
            template,
        })
    }
}

impl Grader for Judge {
    fn units(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Vec<Ask<Completion>> {
        self.hear(question, answer, replies).next.into_iter().map(Ask::Call).collect()
    }

    fn grade(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Result<Option<Graded>, StageError> {
        let heard = self.hear(question, answer, replies);
        let vote = match majority(&heard.given) {
            Majority::Clear(vote) => Some(vote),
            Majority::Tie => heard.second.or(Some((Grade::Idk, "the votes tie".to_owned()))),
            Majority::None => heard.second,
        };
        Ok(vote.map(Graded::from))
    }

    fn note(&self) -> Option<String> {
        JUDGE.note().filter(|_| self.newest)
    }
}

impl Judge {
    /// Reads the replies in the order in which they were asked for. Returns the votes and the requests that are still to be sent.
    fn hear(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Votes {
        let mut replies = replies.iter();
        let read = Read::new(&self.template, question, answer);
        let first = read.request(&self.model);
        let requests = (0..self.votes).map(|sample| Request { sample, ..first.clone() }).collect();
        let (votes, next) = listen(&read.outside, requests, &mut replies);
        let mut heard = Votes { given: votes, second: None, next };
        if let Some(second) = &self.second
            && heard.next.is_empty()
            && !matches!(majority(&heard.given), Majority::Clear(_))
        {
            let (votes, next) = listen(&read.outside, vec![read.request(second)], &mut replies);
            heard.second = votes.into_iter().next();
            heard.next = next;
        }
        heard
    }
}

struct Votes {
    given: Vec<(Grade, String)>,
    second: Option<(Grade, String)>,
    next: Vec<Request>,
}

/// What a judge reads: the prompt about one answer, and the text from outside in it.
struct Read<'a> {
    template: &'a Template,
    values: [(&'static str, String); 6],
    outside: Outside,
}

impl<'a> Read<'a> {
    fn new(template: &'a Template, question: &Question, answer: &Answer) -> Self {
        let choices = template.choices(&question.choices);
        let (gold, wrong) = (question.gold.join("\n"), question.wrong.join("\n"));
        let answer = answer.text.clone().unwrap_or_default();
        let texts = vec![question.question.clone(), choices.clone(), gold.clone(), wrong.clone(), answer.clone()];
        let marked = template.takes("mark");
        let outside = Outside::new(texts, marked);
        let wrong = if marked { format!("begin {0}\n{wrong}\nend {0}", outside.mark()) } else { wrong };
        let wrong = if question.wrong.is_empty() { String::new() } else { format!("\n<wrong>\n{wrong}\n</wrong>") };
        let values = [
            ("question", question.question.clone()),
            ("choices", choices),
            ("gold", gold),
            ("wrong", wrong),
            ("answer", answer),
            ("mark", outside.mark().to_owned()),
        ];
        Self { template, values, outside }
    }

    fn request(&self, model: &Request) -> Request {
        Request { prompt: self.template.with(&self.values), ..model.clone() }
    }
}

/// Returns the votes of the requests, and the requests that are still to be sent. Replies come in rounds, each with one for every vote that
/// was still open.
fn listen<'a>(
    outside: &Outside,
    requests: Vec<Request>,
    replies: &mut impl Iterator<Item = &'a Reply>,
) -> (Vec<(Grade, String)>, Vec<Request>) {
    let mut of_votes = vec![Vec::new(); requests.len()];
    loop {
        let (mut votes, mut open, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for (index, request) in requests.iter().enumerate() {
            match hear(&FORM, outside, request.clone(), &of_votes[index]) {
                Heard::Object(object) => votes.extend(vote(&object)),
                Heard::Next(request) => {
                    open.push(index);
                    next.push(*request);
                }
                Heard::Nothing => {}
            }
        }
        let round: Vec<_> = replies.by_ref().take(open.len()).collect();
        if open.is_empty() || round.len() < open.len() {
            return (votes, next);
        }
        open.into_iter().zip(round).for_each(|(index, reply)| of_votes[index].push(reply));
    }
}

fn vote(object: &Map<String, Value>) -> Option<(Grade, String)> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    Some((text("verdict").trim().to_lowercase().parse().ok()?, text("reason").to_owned()))
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

    fn outside() -> Outside {
        Outside::new(vec!["What?".to_owned()], true)
    }

    #[test]
    fn an_unreadable_vote_is_asked_for_once_more() {
        let said = [reply("It is right."), reply("{\"verdict\": \"Correct\", \"reason\": \"same\"}")];
        let (votes, next) = listen(&outside(), vec![request()], &mut said[..1].iter());
        assert!(votes.is_empty());
        assert_eq!(next[0].prompt.len(), 2, "the reply and what is wrong with it");
        let (votes, next) = listen(&outside(), vec![request()], &mut said.iter());
        assert_eq!((votes, next.len()), (vec![(Grade::Correct, "same".to_owned())], 0));
        let (votes, next) = listen(&outside(), vec![request()], &mut [said[0].clone(), said[0].clone()].iter());
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
