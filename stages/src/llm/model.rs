//! The models that manifests name. Takes a name as `provider/name`; gives its provider and the settings that fit it, then the open model,
//! which has a reply without a call or the request for one.

use std::collections::BTreeMap;

use engine::{Ask, Context, Lack, ParamMistake, Sections, StageError, Surroundings, fingerprint};

use super::{
    calls::unset_variables,
    completion::Completion,
    providers::{self, Known, Replies, Source},
    request::{Request, Settings},
};
use crate::{
    rows::{Message, Question},
    sections::{ProviderSettings, providers::ProviderSetting},
};

/// Splits `provider/name`. The name may have further slashes.
fn split(model: &str) -> Option<(&str, &str)> {
    model.split_once('/').filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

/// Finds the source of `PROVIDER/NAME`: a provider of the manifest, or a kind of that name, which then has no settings.
///
/// # Errors
/// There is no such provider or kind, or the provider has no model of this name.
pub(crate) fn source<'a>(model: &'a str, sections: &Sections) -> Result<Named<'a>, String> {
    let declared = sections.get::<ProviderSettings>();
    let (provider, name) = split(model).ok_or_else(|| format!("`{model}` names no provider"))?;
    let setting = declared.0.get(provider).cloned();
    let setting = setting.unwrap_or_else(|| ProviderSetting { kind: provider.to_owned(), ..ProviderSetting::default() });
    let unknown = || format!("there is no provider of kind `{}`; the kinds are {}", setting.kind, providers::names());
    let kind = providers::find(&setting.kind).ok_or_else(unknown)?;
    (kind.check)(name, &setting)?;
    let base_url = match kind.replies {
        Replies::Known(_) => None,
        // The folder's content decides the replies, not its path.
        Replies::Generated(_) => {
            serde_json::to_string(&setting.folder).ok().map(|files| format!("blake3:{}", fingerprint(&files)))
        }
        Replies::Called(protocol) => {
            let base_url = setting.base_url.as_deref().unwrap_or(protocol.base_url);
            Some(base_url.trim_end_matches('/').to_owned())
        }
    };
    let said = setting.said();
    let ProviderSetting { file, folder, query, extra, .. } = setting;
    let source = Source { kind, base_url, file, folder, query, said, extra };
    Ok(Named { provider: provider.to_owned(), name, source })
}

/// A model that a manifest names, with the source of its replies.
pub(crate) struct Named<'a> {
    /// The provider's name in the manifest.
    pub provider: String,
    /// The model's name at the provider.
    pub name: &'a str,
    pub source: Source,
}

/// Finds the providers of models that have to be called, and the settings that fit each model.
///
/// # Errors
/// For each field of a stage's params that names a model: there is no such model, or it cannot be called.
pub(crate) fn settle_called(
    models: &[(&str, &str)],
    given: &Settings,
    sections: &Sections,
) -> Result<(BTreeMap<String, Source>, BTreeMap<String, Settings>), Vec<ParamMistake>> {
    let (mut sources, mut settings, mut mistakes) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (field, asked) in models {
        match source(asked, sections) {
            Ok(Named { provider, name, source }) if source.calls() => {
                settings.insert((*asked).to_owned(), source.fit(name, given.clone()).0);
                sources.insert(provider, source);
            }
            Ok(_) => mistakes.push(mistake(&[field], format!("`{asked}` answers questions of benchmarks, and nothing else"))),
            Err(message) => mistakes.push(mistake(&[field], message)),
        }
    }
    if mistakes.is_empty() { Ok((sources, settings)) } else { Err(mistakes) }
}

/// Builds the request to a model that has to be called, without its prompt.
///
/// # Errors
/// The model has no source, or is not called.
pub(crate) fn request(
    ctx: &Context,
    asked: &str,
    sources: &BTreeMap<String, Source>,
    settings: &BTreeMap<String, Settings>,
) -> Result<Request, StageError> {
    let model = Model::open(ctx, asked, sources, &settings.get(asked).cloned().unwrap_or_default())?;
    model.request().cloned().ok_or_else(|| StageError::failed(format!("`{asked}` is not called")))
}

/// Returns what calls of these models lack: environment variables that are not set, and devices that this machine does not have. Each
/// model comes with the field of a stage's params that names it.
pub(crate) fn preflight<'a>(
    models: impl Iterator<Item = (Vec<&'a str>, &'a str)>,
    sources: &BTreeMap<String, Source>,
    surroundings: &Surroundings<'_>,
) -> Vec<Lack> {
    let declared = surroundings.section::<ProviderSettings>();
    let lacking = |(field, asked): (Vec<&str>, &str)| {
        let (provider, source) = split(asked).and_then(|(provider, _)| sources.get_key_value(provider))?;
        let setting = declared.0.get(provider).cloned().unwrap_or_default();
        match source.kind.replies {
            Replies::Called(protocol) => {
                let unset = unset_variables(&setting, protocol, |name| surroundings.variable(name));
                let message =
                    || format!("provider `{provider}` needs the environment variable `{}`, which is not set", unset.join("`, `"));
                let help = "put it into the environment, or into a file `.env` beside the manifest";
                (!unset.is_empty()).then(|| Lack::Variable(ParamMistake::new(&field, message(), help)))
            }
            Replies::Generated(_) => {
                let error = setting.device.unwrap_or_default().look().err()?;
                Some(Lack::Device(ParamMistake::new(&field, format!("provider `{provider}`, {error}"), error.help())))
            }
            Replies::Known(_) => None,
        }
    };
    models.filter_map(lacking).collect()
}

/// Builds the mistake of a field that names a model wrongly.
pub(crate) fn mistake(field: &[&str], message: String) -> ParamMistake {
    ParamMistake::new(field, message, "write PROVIDER/NAME, where `providers:` declares the provider, or it is one of the kinds")
}

/// An open model.
pub(crate) struct Model {
    /// `provider/name`, as the manifest has it.
    pub asked: String,
    replies: Opened,
}

enum Opened {
    Known(Box<dyn Known>),
    Called {
        request: Box<Request>,
        /// Whether the address is the vendor's own.
        at_vendor: bool,
    },
}

impl Model {
    /// Opens `asked` with settings that fit it.
    ///
    /// # Errors
    /// The model has no source, or the file of its replies cannot be read.
    pub(crate) fn open(
        ctx: &Context,
        asked: &str,
        sources: &BTreeMap<String, Source>,
        settings: &Settings,
    ) -> Result<Self, StageError> {
        let unknown = || StageError::failed(format!("there is no provider for `{asked}`"));
        let (provider, name) = split(asked).ok_or_else(unknown)?;
        let source = sources.get(provider).ok_or_else(unknown)?;
        let kind = source.kind;
        let replies = match kind.replies {
            Replies::Known(open) => Opened::Known(open(ctx, name, source)?),
            Replies::Called(_) | Replies::Generated(_) => {
                let base_url = source.base_url.clone().ok_or_else(unknown)?;
                Opened::Called {
                    at_vendor: kind.protocol().is_some_and(|protocol| protocol.base_url == base_url),
                    request: Box::new(Request {
                        provider: kind.name,
                        version: kind.version,
                        base_url,
                        query: source.query.clone(),
                        dialect: source.said.dialect(),
                        model: name.to_owned(),
                        settings: settings.clone(),
                        prompt: Vec::new(),
                        sample: 0,
                        account: provider.to_owned(),
                    }),
                }
            }
        };
        Ok(Self { asked: asked.to_owned(), replies })
    }

    /// Returns what to do for a question: take a reply that needs no call, or make the call. `sample` distinguishes calls with equal prompts.
    ///
    /// # Errors
    /// There is no known reply to this question, or `prompt` fails.
    pub(crate) fn ask(
        &self,
        question: &Question,
        prompt: impl FnOnce() -> Result<Vec<Message>, StageError>,
        sample: u32,
    ) -> Result<Ask<Completion>, StageError> {
        match &self.replies {
            Opened::Known(known) => Ok(Ask::Known(known.reply(question)?)),
            Opened::Called { request, .. } => Ok(Ask::Call(Request { prompt: prompt()?, sample, ..(**request).clone() })),
        }
    }

    /// Returns the request without its prompt, if the model is called.
    pub(crate) fn request(&self) -> Option<&Request> {
        match &self.replies {
            Opened::Known(_) => None,
            Opened::Called { request, .. } => Some(request),
        }
    }

    /// Returns whether the model is called at its vendor's own address.
    pub(crate) fn is_at_vendor(&self) -> bool {
        matches!(self.replies, Opened::Called { at_vendor: true, .. })
    }
}
