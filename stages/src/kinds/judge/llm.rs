//! A model as the judge: it sees question, gold, known wrong answers and the answer, and nothing else.
//!
//! Each vote is a request of its own; one that cannot be read is asked for again, once. Where votes tie, a second judge is asked, if
//! there is one, else nobody knows.

use std::collections::BTreeMap;

use engine::{Ask, Context, File, StageError};
use serde_json::{Value, json};

use crate::{
    llm::{
        completion::{Completion, Reply, Request, Settings},
        json_reply,
        prompt::{Template, lettered},
        providers::{self, Source},
    },
    rows::{Answer, Grade, Question},
};

const PROMPT: &str = include_str!("../../../prompts/judge@1.txt");

/// The word after `judge:`.
pub(crate) const NAME: &str = "llm";

/// Raised when requests or the reading of replies change.
pub(crate) const VERSION: u32 = 1;

/// What the judge is opened with.
pub(crate) struct Llms<'a> {
    pub model: &'a str,
    pub second: Option<&'a str>,
    pub votes: u32,
    pub prompt: Option<&'a File>,
    /// Where the models are asked.
    pub providers: &'a BTreeMap<String, Source>,
    /// How each is asked.
    pub settings_of: &'a BTreeMap<String, Settings>,
}

/// The settings that the judge adds: temperature 0 for a single vote, and the form of a verdict.
pub(crate) fn settings(given: &Settings, votes: u32) -> Settings {
    Settings { temperature: given.temperature.or((votes == 1).then_some(0.0)), schema: Some(schema()), ..given.clone() }
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

/// A model as the judge, open.
pub(crate) struct Llm {
    model: Request,
    second: Option<Request>,
    votes: u32,
    template: Template,
}

impl Llm {
    pub(crate) fn open(ctx: &Context, llms: &Llms<'_>) -> Result<Self, StageError> {
        let open = |asked: &str| providers::request(ctx, asked, llms.providers, llms.settings_of);
        Ok(Self {
            model: open(llms.model)?,
            second: llms.second.map(open).transpose()?,
            votes: llms.votes,
            template: Template::read(ctx, llms.prompt, PROMPT, &["question", "gold", "answer"])?,
        })
    }

    /// What to ask next.
    pub(crate) fn units(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Vec<Ask<Completion>> {
        self.hear(question, answer, replies).next.into_iter().map(Ask::Call).collect()
    }

    /// The verdict; none where the judge gave none that can be read.
    pub(crate) fn verdict(&self, question: &Question, answer: &Answer, replies: &[Reply]) -> Option<(Grade, String)> {
        let heard = self.hear(question, answer, replies);
        match majority(&heard.votes) {
            Majority::Clear(vote) => Some(vote),
            Majority::Tie => heard.second.or(Some((Grade::Idk, "the votes tie".to_owned()))),
            Majority::None => heard.second,
        }
    }

    /// Goes through the replies in the order in which they were asked for, and says what is missing.
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

/// The votes that requests brought, each asked for again once where its reply cannot be read; and what is still to be asked.
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
            // Blocked, refused, cut: no vote, and asking again would not mend it.
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
    use crate::rows::{Outcome, Usage};

    fn reply(text: &str) -> Reply {
        Reply {
            text: Some(text.to_owned()),
            outcome: Outcome::Ok,
            finish: String::new(),
            served: String::new(),
            usage: Usage::default(),
        }
    }

    fn request() -> Request {
        Request {
            provider: "openai",
            version: 1,
            base_url: String::new(),
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
