//! A model's name and a question → a reply that is known, or the request that brings one. One file a provider.

mod anthropic;
pub(crate) mod calculator;
mod capabilities;
mod gemini;
pub(crate) mod local;
mod openai;
mod replay;

use std::{collections::BTreeMap, time::Duration};

use engine::{Ask, Context, File, Folder, ParamMistake, Sections, StageError, fingerprint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    calls::missing_variables,
    completion::{Completion, Reply, Request, Settings},
};
use crate::{
    kinds::errors,
    rows::{Message, Question},
    sections::{ProviderSettings, providers::ProviderSetting},
};
pub(crate) use capabilities::fit;

/// A kind of provider: the word after `kind:`.
pub(crate) struct ProviderKind {
    /// The word.
    pub name: &'static str,
    /// Raised when it answers, asks or reads anything differently.
    pub version: u32,
    /// Says what is wrong with a model's name or the settings before anything runs.
    pub check: fn(model: &str, setting: &ProviderSetting) -> Result<(), String>,
    /// How replies are come by.
    pub replies: Replies,
}

/// How replies are come by.
pub(crate) enum Replies {
    /// They are known without a call.
    Known(fn(ctx: &Context, model: &str, source: &Source) -> Result<Box<dyn Known>, StageError>),
    /// They are called for.
    Called(&'static Protocol),
    /// They are generated on this machine, and kept like those that are called for.
    Generated,
}

/// One model whose replies are known without a call.
pub(crate) trait Known: Send + Sync {
    /// The reply to a question.
    fn reply(&self, question: &Question) -> Result<Reply, StageError>;
}

/// How a provider is spoken to: pure functions between our words and its own.
pub(crate) struct Protocol {
    /// The vendor's own address.
    pub base_url: &'static str,
    /// The environment variable that usually holds the key.
    pub key: &'static str,
    /// Where a model is asked.
    pub url: fn(base_url: &str, model: &str) -> String,
    /// The header that carries the key, its value made of the key.
    pub key_header: (&'static str, fn(&str) -> String),
    /// Headers that every request has.
    pub headers: &'static [(&'static str, &'static str)],
    /// What is sent.
    pub body: fn(&Request) -> Value,
    /// What came back; `None` where it is no reply of this protocol.
    pub read: fn(&Request, &Value) -> Option<Reply>,
    /// When an error says that it may be tried again.
    pub retry_after: fn(error: &Value) -> Option<Duration>,
    /// Headers of replies that announce the limits: requests and tokens a minute.
    pub limit_headers: (&'static str, &'static str),
    /// How many requests are handed over in one job.
    pub batches: Batches,
}

/// How jobs of many requests are spoken of. Each request has a name that its result comes back with.
pub(crate) struct Batches {
    /// The most requests of a job.
    pub most_requests: usize,
    /// The most bytes of a job's requests.
    pub most_bytes: usize,
    /// Where a file of requests is uploaded first, and its line of a request, where jobs are made of files.
    pub upload: Option<(fn(base_url: &str) -> String, fn(name: &str, body: &Value) -> Value)>,
    /// Where a job is submitted, and as what.
    pub submit: fn(&Submission<'_>) -> (String, Value),
    /// The field of what comes back that has the provider's name of the job.
    pub name: &'static str,
    /// Where the newest jobs are listed.
    pub list: fn(base_url: &str) -> String,
    /// The provider's name of our job in that list.
    pub find: fn(list: &Value, job: &Job<'_>) -> Option<String>,
    /// Where a job's state is asked for.
    pub address: fn(base_url: &str, name: &str) -> String,
    /// What that state is.
    pub state: fn(base_url: &str, state: &Value) -> JobState,
    /// A request's name and what came of it: a status, where there is one, and a body.
    pub result: fn(&Value) -> Option<(String, Option<u16>, Value)>,
}

/// A job to be submitted.
pub(crate) struct Submission<'a> {
    pub base_url: &'a str,
    pub model: &'a str,
    /// Our name of the job.
    pub job: &'a str,
    /// The requests by name; empty where they were uploaded.
    pub requests: &'a [(String, Value)],
    /// The provider's name of the file that was uploaded.
    pub file: &'a str,
}

/// A job that may have been submitted.
pub(crate) struct Job<'a> {
    /// Our name of it.
    pub name: &'a str,
    /// Seconds since 1970 at which it was about to be.
    pub since: u64,
    /// How many of its requests are waited for, at least.
    pub requests: u64,
}

/// How far a job is.
pub(crate) enum JobState {
    /// It goes on.
    Running,
    /// It ended, with results in files of lines and in this list.
    Ended {
        /// The files' addresses.
        files: Vec<String>,
        /// Results at hand.
        results: Vec<Value>,
    },
    /// It came to nothing.
    Failed(String),
}

const ALL: [&ProviderKind; 6] = [&gemini::KIND, &openai::KIND, &anthropic::KIND, &local::KIND, &calculator::KIND, &replay::KIND];

/// What of a provider's settings decides its replies, and so is in keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// The kind of provider.
    kind: String,
    /// Where it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// The recorded answers of a `replay` provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<File>,
    /// The checkpoint of a `local` provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<Folder>,
}

impl Source {
    /// The kind and the version of its code.
    pub(crate) fn part(&self) -> Option<(String, u32)> {
        find(&self.kind).map(|kind| (format!("provider/{}", kind.name), kind.version))
    }

    /// The kind.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether replies are called for.
    pub(crate) fn calls(&self) -> bool {
        find(&self.kind).is_some_and(|kind| matches!(kind.replies, Replies::Called(_) | Replies::Generated))
    }
}

fn find(kind: &str) -> Option<&'static ProviderKind> {
    ALL.into_iter().find(|known| known.name == kind)
}

/// The protocol of a kind that calls.
pub(crate) fn protocol(kind: &str) -> Option<&'static Protocol> {
    match find(kind)?.replies {
        Replies::Called(protocol) => Some(protocol),
        Replies::Known(_) | Replies::Generated => None,
    }
}

/// Splits `provider/name`; the name may have further slashes.
pub(crate) fn split(model: &str) -> Option<(&str, &str)> {
    model.split_once('/').filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

/// The source that `PROVIDER/NAME` names, with the provider's name: the manifest's, or a kind of that name that needs no setting.
///
/// Errors: an unknown provider or kind, a name that the provider does not have.
pub(crate) fn source(model: &str, sections: &Sections) -> Result<(String, Source), String> {
    let declared = sections.get::<ProviderSettings>();
    let (provider, name) = split(model).ok_or_else(|| format!("`{model}` names no provider"))?;
    let setting = declared.0.get(provider).cloned();
    let setting = setting.unwrap_or_else(|| ProviderSetting { kind: provider.to_owned(), ..ProviderSetting::default() });
    let kind = find(&setting.kind).ok_or_else(|| {
        let kinds: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
        format!("there is no provider of kind `{}`; the kinds are {}", setting.kind, kinds.join(", "))
    })?;
    (kind.check)(name, &setting)?;
    let base_url = match kind.replies {
        Replies::Known(_) => None,
        // Where it is does not matter; what is in it does.
        Replies::Generated => serde_json::to_string(&setting.folder).ok().map(|files| format!("blake3:{}", fingerprint(&files))),
        Replies::Called(protocol) => {
            let base_url = setting.base_url.as_deref().unwrap_or(protocol.base_url);
            Some(base_url.trim_end_matches('/').to_owned())
        }
    };
    Ok((provider.to_owned(), Source { kind: setting.kind, base_url, file: setting.file, folder: setting.folder }))
}

/// About how many tokens a prompt has: four bytes to one, as English has it.
pub(crate) fn estimated_tokens(prompt: &[Message]) -> u64 {
    prompt.iter().map(|message| message.content.len().div_ceil(4) as u64).sum()
}

/// Finds the providers of models that have to be called, and the settings that fit each.
///
/// Errors: per field of a stage's params, what is wrong with the model that it names.
pub(crate) fn settle_called(
    models: &[(&str, &str)],
    given: &Settings,
    sections: &Sections,
) -> Result<(BTreeMap<String, Source>, BTreeMap<String, Settings>), Vec<ParamMistake>> {
    let (mut sources, mut settings, mut mistakes) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (field, asked) in models {
        match called(asked, sections) {
            Ok((provider, source)) => {
                let name = split(asked).map_or("", |(_, name)| name);
                settings.insert((*asked).to_owned(), fit(source.kind(), name, given.clone()).0);
                sources.insert(provider, source);
            }
            Err(message) => mistakes.push(mistake(&[field], message)),
        }
    }
    if mistakes.is_empty() { Ok((sources, settings)) } else { Err(mistakes) }
}

/// The request to a model that has to be called, without its prompt.
pub(crate) fn request(
    ctx: &Context,
    asked: &str,
    sources: &BTreeMap<String, Source>,
    settings: &BTreeMap<String, Settings>,
) -> Result<Request, StageError> {
    let model = Model::open(ctx, asked, sources, &settings.get(asked).cloned().unwrap_or_default())?;
    model.request().cloned().ok_or_else(|| StageError::failed(format!("`{asked}` is not called")))
}

/// The source that `PROVIDER/NAME` names, where it has to be one that is called.
fn called(model: &str, sections: &Sections) -> Result<(String, Source), String> {
    let (provider, source) = source(model, sections)?;
    if source.calls() { Ok((provider, source)) } else { Err(format!("`{model}` answers benchmarks, and nothing else")) }
}

/// Says which environment variables calls to these models need and are not set.
pub(crate) fn ready<'a>(
    ctx: &Context,
    models: impl Iterator<Item = &'a str>,
    sources: &BTreeMap<String, Source>,
) -> Result<(), StageError> {
    for asked in models {
        let Some((provider, source)) = split(asked).and_then(|(provider, _)| sources.get_key_value(provider)) else { continue };
        let missing = missing_variables(ctx, provider, source.kind());
        if !missing.is_empty() {
            return Err(StageError::environment(format!(
                "provider `{provider}` needs the environment variable `{}`, which is not set; put it into the environment, or into a \
                 file `.env` beside the manifest",
                missing.join("`, `")
            )));
        }
    }
    Ok(())
}

/// Finds devices that models on this machine are to be computed on and that are not there; each model stands at a field of a stage's params.
pub(crate) fn missing<'a>(models: impl Iterator<Item = (Vec<&'a str>, &'a str)>, sections: &Sections) -> Vec<ParamMistake> {
    let declared = sections.get::<ProviderSettings>();
    let missing = |(field, asked): (Vec<&str>, &str)| {
        let (provider, _) = split(asked)?;
        let setting = declared.0.get(provider).filter(|setting| setting.kind == local::NAME)?;
        let mistake = errors::missing(&field, setting.device.unwrap_or_default())?;
        Some(ParamMistake { message: format!("provider `{provider}`, {}", mistake.message), ..mistake })
    };
    models.filter_map(missing).collect()
}

/// What is wrong with a model's name, as a mistake at a field.
pub(crate) fn mistake(field: &[&str], message: String) -> ParamMistake {
    ParamMistake {
        field: field.iter().map(|&name| name.to_owned()).collect(),
        message,
        help: "write PROVIDER/NAME, where `providers:` declares the provider, or it is one of the kinds".to_owned(),
    }
}

/// One model, open.
pub(crate) struct Model {
    /// `provider/name`, as the manifest has it.
    pub asked: String,
    replies: Opened,
}

enum Opened {
    Known(Box<dyn Known>),
    Called(Box<Request>),
}

impl Model {
    /// Opens `asked` with settings that fit it.
    pub(crate) fn open(
        ctx: &Context,
        asked: &str,
        sources: &BTreeMap<String, Source>,
        settings: &Settings,
    ) -> Result<Self, StageError> {
        let unknown = || StageError::failed(format!("there is no provider for `{asked}`"));
        let (provider, name) = split(asked).ok_or_else(unknown)?;
        let source = sources.get(provider).ok_or_else(unknown)?;
        let kind = find(&source.kind).ok_or_else(unknown)?;
        let replies = match kind.replies {
            Replies::Known(open) => Opened::Known(open(ctx, name, source)?),
            Replies::Called(_) | Replies::Generated => Opened::Called(Box::new(Request {
                provider: kind.name,
                version: kind.version,
                base_url: source.base_url.clone().ok_or_else(unknown)?,
                model: name.to_owned(),
                settings: settings.clone(),
                prompt: Vec::new(),
                sample: 0,
                account: provider.to_owned(),
            })),
        };
        Ok(Self { asked: asked.to_owned(), replies })
    }

    /// What to do for a question: a reply that is known without a call, or the call. `sample` tells apart calls that ask the same.
    pub(crate) fn ask(
        &self,
        question: &Question,
        prompt: impl FnOnce() -> Result<Vec<Message>, StageError>,
        sample: u32,
    ) -> Result<Ask<Completion>, StageError> {
        match &self.replies {
            Opened::Known(known) => Ok(Ask::Known(known.reply(question)?)),
            Opened::Called(request) => Ok(Ask::Call(Request { prompt: prompt()?, sample, ..(**request).clone() })),
        }
    }

    /// The request without its prompt, where the model is called.
    pub(crate) fn request(&self) -> Option<&Request> {
        match &self.replies {
            Opened::Known(_) => None,
            Opened::Called(request) => Some(request),
        }
    }
}
