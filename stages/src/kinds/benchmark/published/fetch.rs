//! Downloads of published files. Takes `fetch:` of a manifest; gives a file of a known digest, which is downloaded once.

use std::{borrow::Cow, fmt};

use engine::{Context, File, StageError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Published;
use crate::llm::calls;

/// What `fetch:` asks to download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// Nothing.
    #[default]
    No,
    /// The benchmark's published file, or the one of this name where there are several.
    Published(Option<String>),
    /// A file of this address and digest.
    Pinned(Pinned),
}

/// The address of a file and the digest that it has to have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pinned {
    pub(crate) address: String,
    /// `blake3:` and 64 hexadecimal digits.
    pub(crate) digest: String,
}

impl Pinned {
    /// Returns the file's name: the last part of its address.
    pub(crate) fn name(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the file; downloads it if the cache does not have its content.
    ///
    /// # Errors
    /// The download fails, or the file has another digest.
    pub(crate) async fn file(&self, ctx: &Context) -> Result<File, StageError> {
        let path = ctx.scratch().join("fetched");
        let file = File::pinned(self.name(), &self.digest, &path)?;
        if !file.is_kept(ctx)? {
            ctx.say(format!("downloading {}", self.address));
            calls::download(ctx, &self.address, &path).await?;
            if !file.keep_if_right(ctx)? {
                return Err(StageError::failed(format!(
                    "{} is not the file whose digest is pinned, {}",
                    self.address, self.digest
                ))
                .help("download it yourself, look at what changed, and name it by `path:`"));
            }
        }
        Ok(file)
    }
}

impl Fetch {
    /// Turns the name of a benchmark's published file into its address and digest.
    ///
    /// # Errors
    /// A message and a help, if there is no such file or the digest is malformed.
    pub(crate) fn settle(self, benchmark: &str, published: &[Published]) -> Result<Self, (String, String)> {
        let name = match self {
            Self::No => return Ok(Self::No),
            Self::Pinned(pinned) => {
                let hexadecimal = pinned.digest.strip_prefix("blake3:").unwrap_or_default();
                if hexadecimal.len() != 64 || !hexadecimal.chars().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err((
                        format!("`{}` is no digest", pinned.digest),
                        "write `blake3:` and the 64 digits that `b3sum FILE` prints".to_owned(),
                    ));
                }
                return Ok(Self::Pinned(pinned));
            }
            Self::Published(name) => name,
        };
        let known = super::pinned(published);
        let help = || match known.iter().map(Pinned::name).collect::<Vec<_>>().as_slice() {
            [] => "download it, and name it by `path:`; or write `fetch: { address: …, digest: \"blake3:…\" }`".to_owned(),
            names => format!("the files of `{benchmark}` are {}", names.join(", ")),
        };
        let found = match &name {
            None => known.first(),
            Some(name) => known.iter().find(|pinned| pinned.name() == name),
        };
        let found = found.cloned().map(Self::Pinned);
        found.ok_or_else(|| match name {
            None => (format!("no published file of `{benchmark}` has a digest that is known"), help()),
            Some(name) => (format!("`{name}` is no published file of `{benchmark}` whose digest is known"), help()),
        })
    }

    /// Returns whether nothing is to be downloaded.
    pub(crate) fn is_no(&self) -> bool {
        *self == Self::No
    }
}

impl<'de> Deserialize<'de> for Fetch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Fetch;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("`true`, the name of a published file, or `{ address, digest }`")
            }

            fn visit_bool<E>(self, yes: bool) -> Result<Fetch, E> {
                Ok(if yes { Fetch::Published(None) } else { Fetch::No })
            }

            fn visit_str<E>(self, name: &str) -> Result<Fetch, E> {
                Ok(Fetch::Published(Some(name.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fetch, A::Error> {
                Pinned::deserialize(MapAccessDeserializer::new(map)).map(Fetch::Pinned)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Writes only the digest into the key, since the address does not change the result.
impl Serialize for Fetch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Pinned(pinned) => pinned.digest.serialize(serializer),
            Self::Published(_) => Err(serde::ser::Error::custom("what is fetched is settled first")),
        }
    }
}

impl JsonSchema for Fetch {
    fn schema_name() -> Cow<'static, str> {
        "Fetch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Downloads the file: the published one, the one of this name, or one at an address with a digest.",
            "oneOf": [
                { "type": "boolean" },
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "address": { "type": "string", "description": "Where the file is." },
                        "digest": { "type": "string", "description": "What it has to be: `blake3:` and 64 digits." },
                    },
                    "required": ["address", "digest"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::benchmark::find;

    #[test]
    fn a_published_file_is_found_by_its_name_and_needs_a_known_digest() {
        let address = |fetch: Fetch, benchmark: &str| match fetch.settle(benchmark, find(benchmark).unwrap().published) {
            Ok(Fetch::Pinned(pinned)) => Ok(pinned.address),
            Ok(other) => panic!("{other:?}"),
            Err((message, _)) => Err(message),
        };
        assert!(address(Fetch::Published(None), "simpleqa").unwrap().ends_with("/simple_qa_test_set.csv"));
        let efficient = Some("NQ-open.efficientqa.dev.1.1.jsonl".to_owned());
        assert!(address(Fetch::Published(efficient.clone()), "natural_questions").unwrap().contains("efficientqa"));
        assert!(address(Fetch::Published(efficient), "gsm8k").unwrap_err().starts_with("`NQ-open"));
        assert!(address(Fetch::Published(None), "mmlu").unwrap_err().contains("no published file of `mmlu`"));
        let pinned = Pinned { address: "https://example.org/x".to_owned(), digest: "blake3:12".to_owned() };
        assert!(address(Fetch::Pinned(pinned), "csv").unwrap_err().contains("no digest"));
    }
}
