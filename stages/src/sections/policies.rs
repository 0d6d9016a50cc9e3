//! The section `policies`. Takes YAML; gives the routes that a query can take, in order of cost.

use std::{borrow::Cow, fmt};

use engine::{ParamMistake, Section};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Policy {
    /// The name, such as `Complex_Query`.
    pub name: String,
    /// The role that answers the route's questions: a key of `answer`'s `models`.
    pub model: String,
    /// The description that the router reads.
    pub description: String,
    /// The word of the description that the router says before the name. It finds the route by this word, whatever the name is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
}

impl Policy {
    fn wrong_name(&self) -> Option<ParamMistake> {
        // The router's answer ends with the name, and the prompt lists the routes in XML.
        let fits = self.name.chars().all(|character| character.is_alphanumeric() || "_-".contains(character));
        (!fits).then(|| ParamMistake {
            field: vec![self.name.clone()],
            message: format!("`{}` cannot be a policy's name", self.name),
            help: "use letters, digits, `_` and `-`".to_owned(),
        })
    }
}

/// The help for a description that lacks its policy's key word.
pub(crate) const FOUND_BY_KEYWORD: &str = "the router finds a route by the key word in its description";

/// The help for a description that has another policy's key word.
pub(crate) const TOLD_APART: &str = "the router tells routes apart by their key words";

/// The policies in order of cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Policies(pub Vec<Policy>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: String,
    description: String,
    keyword: Option<String>,
}

impl Policies {
    /// Returns the roles in order of cost, which is the order in which policies first name them.
    pub(crate) fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        for policy in &self.0 {
            if !roles.contains(&policy.model) {
                roles.push(policy.model.clone());
            }
        }
        roles
    }

    /// Serialises what a router reads of the policies, without their models, which may change without a new training.
    pub(crate) fn serialize_words<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Words<'a> {
            name: &'a str,
            description: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            keyword: Option<&'a str>,
        }
        serializer.collect_seq(self.0.iter().map(|policy| Words {
            name: &policy.name,
            description: &policy.description,
            keyword: policy.keyword.as_deref(),
        }))
    }

    /// Returns the key words that the router says before a route's name; a single `None` if policies have none.
    pub(crate) fn keywords(&self) -> Vec<Option<&str>> {
        let keywords: Vec<_> = self.0.iter().filter_map(|policy| policy.keyword.as_deref()).map(Some).collect();
        if keywords.is_empty() { vec![None] } else { keywords }
    }

    /// Returns the names, for messages.
    pub(crate) fn names(&self) -> String {
        self.0.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Finds a policy by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Policy> {
        self.0.iter().find(|policy| policy.name == name)
    }

    /// Returns the stage's own policies, or those of the manifest if it has none.
    ///
    /// # Errors
    /// Neither has policies, or those of the stage are wrong.
    pub(crate) fn or_section(self, sections: &engine::Sections) -> Result<Self, Vec<ParamMistake>> {
        let in_stage =
            |mistake: ParamMistake| ParamMistake { field: [vec![Self::NAME.to_owned()], mistake.field].concat(), ..mistake };
        let mistakes: Vec<_> = self.mistakes().into_iter().map(in_stage).collect();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let policies = if self.0.is_empty() { (*sections.get::<Self>()).clone() } else { self };
        if policies.0.is_empty() {
            return Err(vec![ParamMistake {
                field: Vec::new(),
                message: "there are no policies to choose from".to_owned(),
                help: "add `policies: { NAME: { model: ROLE, description: … } }` to the manifest, in order of cost".to_owned(),
            }]);
        }
        Ok(policies)
    }

    fn wrong_keyword(&self, policy: &Policy) -> Option<ParamMistake> {
        let mistake = |message: String, help: String| {
            let field = vec![policy.name.clone(), "keyword".to_owned()];
            Some(ParamMistake { field, message, help })
        };
        let Some(keyword) = &policy.keyword else {
            let other = self.0.iter().find(|other| other.keyword.is_some())?;
            return mistake(
                format!("`{}` has no key word, and `{}` has one", policy.name, other.name),
                "give all of them `keyword: WORD`, or none".to_owned(),
            );
        };
        if !has_word(&policy.description, keyword) {
            return mistake(
                format!("the description of `{}` does not have the word `{keyword}`", policy.name),
                FOUND_BY_KEYWORD.to_owned(),
            );
        }
        let other = self.0.iter().find(|other| other.name != policy.name && has_word(&other.description, keyword))?;
        mistake(
            format!("the description of `{}` has the key word of `{}`, `{keyword}`, too", other.name, policy.name),
            TOLD_APART.to_owned(),
        )
    }
}

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Policies;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("policies as `NAME: { model: ROLE, description: … }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policies, A::Error> {
                let mut policies = Vec::new();
                while let Some((name, written)) = map.next_entry::<String, Written>()? {
                    let Written { model, description, keyword } = written;
                    policies.push(Policy { name, model, description, keyword });
                }
                Ok(Policies(policies))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl JsonSchema for Policies {
    fn schema_name() -> Cow<'static, str> {
        "Policies".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "The routes that a query can take, in order of cost.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "model": { "type": "string", "description": "The role that answers: a key of `models`." },
                    "description": { "type": "string", "description": "What the router reads about the route." },
                    "keyword": {
                        "type": "string",
                        "description": "The word of the description that the router says before the name, to find the route by it; all policies have one or none.",
                    },
                },
                "required": ["model", "description"],
                "additionalProperties": false,
            },
        })
    }
}

impl Section for Policies {
    const NAME: &'static str = "policies";

    fn mistakes(&self) -> Vec<ParamMistake> {
        self.0.iter().flat_map(|policy| policy.wrong_name().into_iter().chain(self.wrong_keyword(policy))).collect()
    }
}

/// Splits a description into words, each of which may be a key word.
pub(crate) fn words(description: &str) -> impl Iterator<Item = &str> {
    description.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Returns whether a description contains a word as a whole word.
pub(crate) fn has_word(description: &str, word: &str) -> bool {
    words(description).any(|of_description| of_description == word)
}
