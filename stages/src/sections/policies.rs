//! `policies:` → the routes that a query can take, in order of cost.

use std::{borrow::Cow, fmt};

use engine::{ParamMistake, Section};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

/// A route: its name, the role that answers what takes it, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Policy {
    /// For example `Complex_Query`.
    pub name: String,
    /// The role: a key of `answer`'s `models`.
    pub model: String,
    /// What the router reads about it.
    pub description: String,
}

/// The policies in order of cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Policies(pub Vec<Policy>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: String,
    description: String,
}

impl Policies {
    /// The roles in order of cost: as the policies first name them.
    pub(crate) fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        for policy in &self.0 {
            if !roles.contains(&policy.model) {
                roles.push(policy.model.clone());
            }
        }
        roles
    }

    /// Writes what a router is told of policies, and not which model they send to: that may change without training again.
    pub(crate) fn serialize_words<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Words<'a> {
            name: &'a str,
            description: &'a str,
        }
        serializer.collect_seq(self.0.iter().map(|policy| Words { name: &policy.name, description: &policy.description }))
    }

    /// Lists the names for a message.
    pub(crate) fn names(&self) -> String {
        self.0.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Finds a policy by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Policy> {
        self.0.iter().find(|policy| policy.name == name)
    }

    /// Takes the manifest's policies where a stage has none of its own.
    ///
    /// Errors: there are none at all.
    pub(crate) fn or_section(self, sections: &engine::Sections) -> Result<Self, Vec<ParamMistake>> {
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
                    policies.push(Policy { name, model: written.model, description: written.description });
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
        // The router's answer ends with the name, and the routes stand in XML.
        let odd = |name: &str| !name.chars().all(|character| character.is_alphanumeric() || "_-".contains(character));
        self.0
            .iter()
            .filter(|policy| odd(&policy.name))
            .map(|policy| ParamMistake {
                field: vec![policy.name.clone()],
                message: format!("`{}` cannot be a policy's name", policy.name),
                help: "use letters, digits, `_` and `-`".to_owned(),
            })
            .collect()
    }
}
