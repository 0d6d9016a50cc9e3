//! The kinds of provider: where replies come from. A provider is one file, and one word in the list below.

mod anthropic;
pub(crate) mod calculator;
mod families;
mod gemini;
pub(crate) mod local;
mod openai;
pub(crate) mod protocol;
mod replay;

use std::pin::Pin;

use engine::{Context, File, Folder, Part, StageError};
use serde::{Serialize, Serializer};

use super::request::{Reply, Request, Settings};
use crate::{rows::Question, sections::providers::ProviderSetting};
use families::Family;
use protocol::Protocol;

/// A kind of provider: the word after `kind:`.
pub(crate) struct ProviderKind {
    /// The word.
    pub name: &'static str,
    /// Who answers, in a few words.
    pub summary: &'static str,
    /// A few lines of a manifest that use it.
    pub example: &'static str,
    /// Raised when it answers, asks or reads anything differently.
    pub version: u32,
    /// Says what is wrong with a model's name or the settings before anything runs.
    pub check: fn(model: &str, setting: &ProviderSetting) -> Result<(), String>,
    /// What its models take, by how their names begin.
    pub families: &'static [Family],
    /// Where replies come from.
    pub replies: Replies,
}

/// Where replies come from.
pub(crate) enum Replies {
    /// They are known without a call.
    Known(fn(ctx: &Context, model: &str, source: &Source) -> Result<Box<dyn Known>, StageError>),
    /// A server is called.
    Called(&'static Protocol),
    /// They are generated on a device of this machine, and kept like those of a server.
    Generated(for<'a> fn(&'a Context, &'a Request) -> Generating<'a>),
}

/// A reply that is being generated.
pub(crate) type Generating<'a> = Pin<Box<dyn Future<Output = Result<Reply, StageError>> + Send + 'a>>;

/// One model whose replies are known without a call.
pub(crate) trait Known: Send + Sync {
    /// The reply to a question.
    fn reply(&self, question: &Question) -> Result<Reply, StageError>;
}

/// All kinds of provider.
static ALL: [&ProviderKind; 6] = [&anthropic::KIND, &calculator::KIND, &gemini::KIND, &local::KIND, &openai::KIND, &replay::KIND];

/// Finds a kind by its name.
pub(crate) fn find(kind: &str) -> Option<&'static ProviderKind> {
    ALL.into_iter().find(|known| known.name == kind)
}

/// Returns the names of all kinds, for messages.
pub(crate) fn names() -> String {
    ALL.map(|kind| kind.name).join(", ")
}

/// Describes every kind of provider, for people.
pub(crate) fn parts() -> impl Iterator<Item = Part> {
    ALL.into_iter().map(|kind| Part {
        group: "provider",
        name: kind.name,
        summary: kind.summary,
        example: kind.example.to_owned(),
    })
}

impl ProviderKind {
    /// Returns the settings that a model takes, with the cap filled in, and the names of those that were left out.
    pub(crate) fn fit(&self, model: &str, settings: Settings) -> (Settings, Vec<&'static str>) {
        families::fit(self.families, model, settings)
    }

    /// Returns the protocol, if the kind calls a server.
    pub(crate) fn protocol(&self) -> Option<&'static Protocol> {
        match self.replies {
            Replies::Called(protocol) => Some(protocol),
            Replies::Known(_) | Replies::Generated(_) => None,
        }
    }
}

impl Serialize for ProviderKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name.serialize(serializer)
    }
}

/// What of a provider's settings decides its replies, and so is in keys.
#[derive(Clone, Serialize)]
pub(crate) struct Source {
    /// The kind of provider.
    pub kind: &'static ProviderKind,
    /// Where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The recorded answers of a `replay` provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// The checkpoint of a `local` provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<Folder>,
}

impl Source {
    /// Returns the kind and the version of its code.
    pub(crate) fn part(&self) -> (String, u32) {
        (format!("provider/{}", self.kind.name), self.kind.version)
    }

    /// Says whether replies are asked for, and not known before.
    pub(crate) fn calls(&self) -> bool {
        matches!(self.kind.replies, Replies::Called(_) | Replies::Generated(_))
    }
}
