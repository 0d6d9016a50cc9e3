//! The list of judges. Takes their types; gives what `judge:` can name, and the params of all judges as parts of one object.

use std::collections::BTreeSet;

use engine::{Context, ParamMistake, Part as NamedPart, StageError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess},
};
use serde_json::{Map, Value};

use super::{
    choice, contains, exact, f1,
    grader::{Grader, Judge, Opening},
    llm, math, numeric, recorded, regex, squad,
};
use crate::{
    llm::request::Settings,
    part::{Filled, Part},
};

/// A kind of judge with its type erased.
pub(crate) struct JudgeKind {
    /// The word after `judge:`.
    pub name: &'static str,
    /// Raised when it grades anything differently.
    pub version: u32,
    /// What counts as right, in a sentence.
    summary: &'static str,
    /// An example of what a manifest says under `with:`.
    example: &'static str,
    /// The names of its own params.
    params: fn() -> BTreeSet<&'static str>,
    mistakes: fn(&Own) -> Vec<ParamMistake>,
    /// Returns the models that it asks: the param that names each, and the name.
    pub models: fn(&Own) -> Vec<(&'static str, &str)>,
    /// Returns how these models are asked.
    pub settings: fn(&Own) -> Settings,
    /// Opens the judge.
    pub open: fn(&Context, &Own, &Opening<'_>) -> Result<Box<dyn Grader>, StageError>,
}

macro_rules! judges {
    ($($judge:ident),* $(,)?) => {
        /// The params of every judge. A manifest gives those of one; the others keep their defaults.
        #[derive(Clone, Debug, Default, Serialize, JsonSchema)]
        pub(crate) struct Own {
            $(#[serde(flatten)] $judge: <$judge::Judge as Judge>::Params,)*
        }

        impl Part for Own {
            fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                Ok($(self.$judge.set(name, map)? ||)* false)
            }

            fn names() -> Vec<(&'static str, Filled)> {
                [$(<$judge::Judge as Judge>::Params::names()),*].concat()
            }
        }

        const NAMES: &[&str] = &[$($judge::Judge::NAME),*];

        static ALL: [JudgeKind; NAMES.len()] = [$(JudgeKind {
            name: $judge::Judge::NAME,
            version: $judge::Judge::VERSION,
            summary: $judge::Judge::SUMMARY,
            example: $judge::Judge::EXAMPLE,
            params: || <$judge::Judge as Judge>::Params::names().into_iter().map(|(name, _)| name).collect(),
            mistakes: |own| $judge::Judge::mistakes(&own.$judge),
            models: |own| $judge::Judge::models(&own.$judge),
            settings: |own| $judge::Judge::settings(&own.$judge),
            open: |ctx, own, common| Ok(Box::new($judge::Judge::open(ctx, &own.$judge, common)?)),
        }),*];
    };
}

judges! { choice, contains, exact, f1, llm, math, numeric, recorded, regex, squad }

/// Describes every judge, for the command `kinds`.
pub(crate) fn parts() -> impl Iterator<Item = NamedPart> {
    ALL.iter().map(|kind| NamedPart {
        group: "judge",
        name: kind.name,
        summary: kind.summary,
        example: format!(
            "stages:\n  verdicts:\n    uses: judge\n    in: {{ questions: questions, answers: answers }}\n    with: {}\n",
            kind.example
        ),
    })
}

impl JudgeKind {
    /// Finds all that is wrong with the params: those of other judges, then the judge's own.
    pub(crate) fn mistakes(&self, own: &Own) -> Vec<ParamMistake> {
        let names = (self.params)();
        let foreign = own.given().into_iter().filter(|name| !names.contains(name.as_str())).map(|name| {
            let owner = ALL.iter().find(|kind| (kind.params)().contains(name.as_str())).map_or("", |kind| kind.name);
            let help = format!("take it out, or write `judge: {owner}`, which has it");
            ParamMistake::new(&[&name], format!("judge `{}` has no `{name}`", self.name), help)
        });
        foreign.chain((self.mistakes)(own)).collect()
    }
}

impl Own {
    /// Returns the names of the params that differ from their defaults.
    fn given(&self) -> Vec<String> {
        let written = |own: &Self| match serde_json::to_value(own) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        };
        let defaults = written(&Self::default());
        written(self).into_iter().filter(|(name, value)| defaults.get(name) != Some(value)).map(|(name, _)| name).collect()
    }
}

impl Serialize for JudgeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for &'static JudgeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        ALL.iter().find(|kind| kind.name == name).ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
    }
}

impl JsonSchema for JudgeKind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Judge".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": NAMES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_judges_have_a_param_of_the_same_name() {
        let names: Vec<_> = Own::names().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
