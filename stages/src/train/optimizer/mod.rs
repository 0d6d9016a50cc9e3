//! Optimisers. Takes weights and gradients; gives new weights.
//!
//! Read `rule` (what an optimiser is) first, then one of them, such as `adamw`, then `stepper` (one over all weights of a model)
//! and `decay` (which weights decay). An optimiser is added by one file and a word in the list below. Its file has its settings with their
//! defaults, transformers' words for it, its state for each weight, and its rule for one step.

mod decay;
mod rule;
mod stepper;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value, json};

use super::TrainError;
use crate::part;
use rule::Rule;
pub(crate) use stepper::Stepper;

/// Lists the optimisers; the first is the default.
macro_rules! optimizers {
    ($($file:ident::$Rule:ident),* $(,)?) => {
        $(mod $file;)*
        $(pub use $file::$Rule;)*

        /// An optimiser with its settings.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Optimizer {
            $(#[doc = concat!("As in [`", stringify!($Rule), "`].")] $Rule($Rule),)*
        }

        $(impl From<$Rule> for Optimizer {
            fn from(rule: $Rule) -> Self {
                Self::$Rule(rule)
            }
        })*

        impl Optimizer {
            /// Returns every optimiser with its own defaults.
            pub(crate) fn all() -> Vec<Self> {
                vec![$(Self::$Rule($Rule::default())),*]
            }

            /// Lists transformers' words for `optim`, each with the settings that it stands for.
            pub(crate) fn optim_words() -> Vec<(&'static str, Self)> {
                let mut words = Vec::new();
                $(words.extend($Rule::optim_words().into_iter().map(|(word, rule)| (word, Self::$Rule(rule))));)*
                words
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Self::$Rule(rule) => rule,)*
                }
            }

            fn rule_mut(&mut self) -> &mut dyn Rule {
                match self {
                    $(Self::$Rule(rule) => rule,)*
                }
            }

            /// Reads settings of this optimiser. Those that are left out keep their values.
            fn read(self, settings: Value) -> Result<Self, serde_json::Error> {
                match self {
                    $(Self::$Rule(rule) => part::read(settings, rule).map(Self::$Rule),)*
                }
            }

            fn settings(&self) -> serde_json::Result<Value> {
                match self {
                    $(Self::$Rule(rule) => serde_json::to_value(rule),)*
                }
            }

            fn settings_schema(&self, generator: &mut SchemaGenerator) -> Schema {
                match self {
                    $(Self::$Rule(rule) => {
                        let mut schema = $Rule::json_schema(generator);
                        part::complete::<$Rule>(&mut schema, rule);
                        schema
                    })*
                }
            }
        }
    };
}

optimizers! {
    adamw::AdamW,
    adafactor::Adafactor,
    lion::Lion,
}

impl Optimizer {
    /// Returns the name, as in `optimizer: { name: … }`.
    pub(crate) fn name(&self) -> &'static str {
        self.rule().name()
    }

    /// Returns the number that TRL sets by an entry of this name, if this optimiser has it.
    pub(crate) fn trl_number(&mut self, name: &str) -> Option<&mut f64> {
        self.rule_mut().trl_number(name)
    }

    /// Returns an error if a setting is out of its range.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.rule().check()
    }

    /// Returns the name with the current settings, for messages.
    fn described(&self) -> String {
        let settings = self.settings().unwrap_or_default();
        let settings = settings.as_object().into_iter().flatten().map(|(name, value)| format!("{name} {value}"));
        format!("`{}` ({})", self.name(), settings.collect::<Vec<_>>().join(", "))
    }

    /// Returns the count of the numbers in the state of a weight of this shape.
    pub(crate) fn state_size(&self, shape: &[usize]) -> u64 {
        self.rule().state(shape).into_iter().fold(0, |sum, (_, count)| sum.saturating_add(count as u64))
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::AdamW(AdamW::default())
    }
}

/// Reads an object with `name`, by default `adamw`, and the settings of that optimiser.
impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = Map::deserialize(deserializer)?;
        let name = settings.remove("name");
        let optimizer = match &name {
            None => Self::default(),
            Some(name) => Self::all().into_iter().find(|known| name == known.name()).ok_or_else(|| {
                let known: Vec<_> = Self::all().iter().map(|known| format!("`{}`", known.name())).collect();
                D::Error::custom(format_args!("unknown optimizer {name}, expected one of {}", known.join(", ")))
            })?,
        };
        optimizer.read(Value::Object(settings)).map_err(D::Error::custom)
    }
}

/// Writes an object as it is read, under `optimizer`, unless keys have entries of their own for this optimiser.
impl Serialize for Optimizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;

        if let Some(entries) = self.rule().key_entries() {
            return entries.serialize(serializer);
        }
        let mut settings = self.settings().map_err(S::Error::custom)?;
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("name".to_owned(), self.name().into());
        }
        json!({ "optimizer": settings }).serialize(serializer)
    }
}

impl JsonSchema for Optimizer {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Optimizer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let of = |optimizer: Self| {
            let mut schema = optimizer.settings_schema(generator);
            let mut name = json_schema!({ "type": "string", "const": optimizer.name(), "description": "Which." });
            if optimizer == Self::default() {
                name.insert("default".to_owned(), optimizer.name().into());
            } else {
                schema.insert("required".to_owned(), json!(["name"]));
            }
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.insert("name".to_owned(), name.to_value());
            }
            schema.to_value()
        };
        let each: Vec<Value> = Self::all().into_iter().map(of).collect();
        let listed: Vec<String> = Self::all().iter().map(Self::described).collect();
        let description = format!("The optimiser by its `name`, with settings of its own: {}.", listed.join("; "));
        json_schema!({ "description": description, "anyOf": each })
    }
}

#[cfg(test)]
pub(crate) mod tests;
