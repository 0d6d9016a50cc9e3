//! Sections: the top-level blocks of a manifest beside its stages (`policies`, `prices`, `providers`). Takes a block; gives a typed
//! value that stages may use.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::Arc,
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    schema,
    typed::{FieldError, typed},
};

/// The typed form of a top-level block.
pub trait Section: DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// The key at the top level of a manifest.
    const NAME: &'static str;

    /// Returns the mistakes that types do not show: the field's path, the message and the help of each.
    fn mistakes(&self) -> Vec<crate::ParamMistake> {
        Vec::new()
    }
}

/// The sections of one manifest. One that the manifest leaves out has its default value.
#[derive(Clone, Default)]
pub struct Sections(BTreeMap<TypeKey, Arc<dyn Any + Send + Sync>>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TypeKey(TypeId);

impl Sections {
    /// Returns the section, or its default where the manifest has none.
    pub fn get<S: Section>(&self) -> Arc<S> {
        self.0.get(&TypeKey(TypeId::of::<S>())).and_then(|section| Arc::clone(section).downcast().ok()).unwrap_or_default()
    }
}

/// A section with its type erased.
pub(crate) struct SectionKind {
    pub(crate) name: &'static str,
    pub(crate) schema: fn() -> Value,
    pub(crate) read: ReadSection,
}

/// Reads a block into the sections, and returns the mistakes that types do not show.
pub(crate) type ReadSection = fn(serde_yaml::Value, &mut Sections) -> Result<Vec<crate::ParamMistake>, Vec<FieldError>>;

impl SectionKind {
    pub(crate) fn of<S: Section>() -> Self {
        Self {
            name: S::NAME,
            schema: schema::of::<S>,
            read: |value, sections| {
                let section: S = typed(value)?;
                let mistakes = section.mistakes();
                sections.0.insert(TypeKey(TypeId::of::<S>()), Arc::new(section));
                Ok(mistakes)
            },
        }
    }
}
