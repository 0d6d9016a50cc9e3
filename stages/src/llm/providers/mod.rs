//! The kinds of provider, from which replies come. Takes a request or a question; gives a reply.
//!
//! Read this file (what a kind is) first, then `protocol` (what a kind that calls a server has) and `families` (which settings a model takes).
//! Each of the others is one kind of provider: those that call a server over its protocol, `local`, which generates replies on this
//! machine, and `replay` and `calculator`, whose replies need no call. A provider is one file, and one word in the list below.

mod anthropic;
pub(crate) mod calculator;
mod families;
mod gemini;
pub(crate) mod local;
mod openai;
pub(crate) mod protocol;
mod replay;

use std::{collections::BTreeMap, pin::Pin};

use engine::{Context, File, Folder, Part, StageError};
use serde::{Serialize, Serializer};

use serde_json::{Map, Value};

use super::request::{Reply, Request, Settings};
use crate::{
    defaults::is_default,
    rows::Question,
    sections::{capabilities::Said, providers::ProviderSetting},
};
use families::Family;
use protocol::Protocol;

/// A kind of provider.
pub(crate) struct ProviderKind {
    /// The word after `kind:`.
    pub name: &'static str,
    /// Who answers, in a few words.
    pub summary: &'static str,
    /// A few lines of a manifest that use it.
    pub example: &'static str,
    /// Raised when its requests, or the replies that it gives or reads, change.
    pub version: u32,
    /// Checks a model's name and the settings before anything runs. An error is a sentence.
    pub check: fn(model: &str, setting: &ProviderSetting) -> Result<(), String>,
    /// The settings that its models take, by the beginning of their names.
    pub families: &'static [Family],
    pub replies: Replies,
}

/// The origin of replies.
pub(crate) enum Replies {
    /// They need no call. The function opens a model.
    Known(fn(ctx: &Context, model: &str, source: &Source) -> Result<Box<dyn Known>, StageError>),
    /// A server is called.
    Called(&'static Protocol),
    /// They are generated on a device of this machine, and cached like those of a server.
    Generated(for<'a> fn(&'a Context, &'a Request) -> Generating<'a>),
}

/// A reply that is being generated.
pub(crate) type Generating<'a> = Pin<Box<dyn Future<Output = Result<Reply, StageError>> + Send + 'a>>;

/// A model whose replies need no call.
pub(crate) trait Known: Send + Sync {
    /// Returns the reply to a question.
    ///
    /// # Errors
    /// The model has no reply to this question.
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

/// Describes every kind of provider, for the command `kinds`.
pub(crate) fn parts() -> impl Iterator<Item = Part> {
    ALL.into_iter().map(|kind| Part {
        group: "provider",
        name: kind.name,
        summary: kind.summary,
        example: kind.example.to_owned(),
    })
}

impl ProviderKind {
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

/// The part of a provider's settings that decides its replies, and so is in keys.
#[derive(Clone, Serialize)]
pub(crate) struct Source {
    /// The kind of provider.
    pub kind: &'static ProviderKind,
    /// The server's address; for a `local` provider, the digest of its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The recorded answers of a `replay` provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// The checkpoint of a `local` provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<Folder>,
    /// The query of the server's addresses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// What the manifest says of the models; what follows for their settings is in the settings.
    #[serde(skip_serializing_if = "is_default")]
    pub said: Said,
    /// Further fields of every request, which become part of the settings.
    #[serde(skip)]
    pub extra: Map<String, Value>,
}

impl Source {
    /// Returns the kind's name and the version of its code, for keys.
    pub(crate) fn part(&self) -> (String, u32) {
        (format!("provider/{}", self.kind.name), self.kind.version)
    }

    /// Returns the settings that a model takes, with the cap filled in, and the names of the settings that were left out.
    pub(crate) fn fit(&self, model: &str, mut settings: Settings) -> (Settings, Vec<&'static str>) {
        let extra = self.extra.clone();
        settings.extra = extra.into_iter().chain(settings.extra).collect();
        let lacks = self.kind.protocol().map_or(&[][..], |protocol| protocol.lacks);
        let (mut settings, mut left_out) = families::fit(self.kind.families, lacks, self.said, model, settings);
        if self.kind.protocol().is_none() && !std::mem::take(&mut settings.extra).is_empty() {
            left_out.push("extra");
        }
        (settings, left_out)
    }

    /// Returns whether a reply needs a call or has to be generated.
    pub(crate) fn calls(&self) -> bool {
        matches!(self.kind.replies, Replies::Called(_) | Replies::Generated(_))
    }
}
