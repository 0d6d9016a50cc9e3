//! A model's name and a question → a reply, or the request that brings one. One file a provider; nothing here knows an API.

pub(crate) mod calculator;
mod replay;

use std::collections::BTreeMap;

use engine::{Ask, Context, ParamMistake, Sections, StageError};

use crate::{
    completion::Completion,
    rows::Question,
    sections::{ProviderSettings, providers::ProviderSetting},
};

/// One model at one provider.
pub(crate) trait Provider: Send + Sync {
    /// What to do for a question: a reply that is known without a call, or the call.
    fn ask(&self, question: &Question) -> Result<Ask<Completion>, StageError>;
}

/// A kind of provider: the word after `kind:`.
pub(crate) struct ProviderKind {
    /// The word.
    pub name: &'static str,
    /// Raised when it answers anything differently.
    pub version: u32,
    /// Says what is wrong with a model's name or the settings before anything runs.
    pub check: fn(model: &str, setting: &ProviderSetting) -> Result<(), String>,
    /// Opens one model.
    pub open: fn(ctx: &Context, model: &str, setting: &ProviderSetting) -> Result<Box<dyn Provider>, StageError>,
}

const ALL: [&ProviderKind; 2] = [&calculator::KIND, &replay::KIND];

/// Finds the kind that a setting names.
pub(crate) fn find(setting: &ProviderSetting) -> Option<&'static ProviderKind> {
    ALL.into_iter().find(|kind| kind.name == setting.kind)
}

/// Splits `provider/name`; the name may have further slashes.
pub(crate) fn split(model: &str) -> Option<(&str, &str)> {
    model.split_once('/').filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

/// The settings of the providers that `models` name: the manifest's, or a kind of that name that needs none.
///
/// Errors: an unknown provider or kind, a name that the provider does not have.
pub(crate) fn settle(
    models: &BTreeMap<String, String>,
    sections: &Sections,
) -> Result<BTreeMap<String, ProviderSetting>, Vec<ParamMistake>> {
    let declared = sections.get::<ProviderSettings>();
    let mut settings = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (role, model) in models {
        match setting(model, &declared) {
            Ok((name, setting)) => {
                settings.insert(name, setting);
            }
            Err(message) => mistakes.push(ParamMistake {
                field: vec!["models".to_owned(), role.clone()],
                message,
                help: "write PROVIDER/NAME, where `providers:` declares the provider or it is `calculator`".to_owned(),
            }),
        }
    }
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

fn setting(model: &str, declared: &ProviderSettings) -> Result<(String, ProviderSetting), String> {
    let (provider, name) = split(model).ok_or_else(|| format!("`{model}` names no provider"))?;
    let setting = declared.0.get(provider).cloned().unwrap_or_else(|| ProviderSetting { kind: provider.to_owned(), file: None });
    let kind = find(&setting).ok_or_else(|| {
        let kinds: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
        format!("there is no provider of kind `{}`; the kinds are {}", setting.kind, kinds.join(", "))
    })?;
    (kind.check)(name, &setting)?;
    Ok((provider.to_owned(), setting))
}
