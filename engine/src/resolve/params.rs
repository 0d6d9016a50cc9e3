//! Params and sections. Takes `with:` and sections as written; gives typed values, or what is wrong at its place.

use std::sync::Arc;

use super::{Checker, Found};
use crate::{
    contract::{
        file::Folders,
        mistake::ParamMistake,
        registry::{Registry, SettleError},
        section::{ReadSection, Sections},
    },
    diagnostic::{Mistake, did_you_mean},
    manifest::{Declaration, Manifest, field_mistake},
    source::{Path, Source, mistake_at_value},
};

impl Checker<'_> {
    pub(super) fn sections(&mut self, registry: &Registry) -> Sections {
        let mut sections = Sections::default();
        for (name, value) in &self.manifest.sections {
            let at = Path::root().key(name.as_str());
            let Some(kind) = registry.sections().iter().find(|kind| kind.name == name) else {
                let known = registry.sections().iter().map(|kind| kind.name);
                let known = known.chain(["version", "name", "params", "stages"]);
                self.mistakes.push(
                    self.manifest
                        .mistake_at_key(&at, "unknown-section", format!("there is no section `{name}`"))
                        .help_if(did_you_mean(name, known)),
                );
                continue;
            };
            if let serde_yaml::Value::String(written) = value {
                self.section_file(kind.read, written, &at, &mut sections);
                continue;
            }
            let read = crate::contract::file::reading(&self.folders(&at, value), || (kind.read)(value.clone(), &mut sections));
            match read {
                Ok(mistakes) => self.param_mistakes(&at, mistakes),
                Err(errors) => self.mistakes.extend(errors.iter().map(|error| self.manifest.field_mistake(&at, error))),
            }
        }
        sections
    }

    fn section_file(&mut self, read: ReadSection, written: &str, at: &Path, sections: &mut Sections) {
        let path = self.folders(at, &serde_yaml::Value::from(written)).path(written);
        if !path.exists() {
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(
                        at,
                        "missing-file",
                        format!("there is no file `{written}` (looked for `{}`)", path.display()),
                    )
                    .help("paths in a manifest are relative to the manifest"),
            );
            return;
        }
        let source: Arc<Source> = match Source::read(&path) {
            Ok(source) => source,
            Err(mistakes) => return self.mistakes.extend(mistakes),
        };
        let beside = Folders { manifest: path.parent().map(std::path::Path::to_owned).unwrap_or_default(), ..Folders::default() };
        match crate::contract::file::reading(&beside, || read(source.data().clone(), sections)) {
            Ok(mistakes) => self.mistakes.extend(mistakes.into_iter().map(|mistake| {
                mistake_at_value(&source, &field_path(&Path::root(), &mistake.field), "wrong-value", mistake.message)
                    .help(mistake.help)
            })),
            Err(errors) => self.mistakes.extend(errors.iter().map(|error| field_mistake(&source, error))),
        }
    }

    pub(super) fn settle(&mut self, stage: &Declaration, registry: &Registry, sections: &Sections) -> Option<Found> {
        let uses = stage.uses.as_ref()?;
        let Some(kind) = registry.find(uses) else {
            let help = did_you_mean(uses, registry.kinds().map(|kind| kind.name()))
                .unwrap_or_else(|| "`fingerpost kinds` lists the kinds".to_owned());
            self.mistakes.push(
                self.manifest
                    .mistake_at_value(&stage.uses_path(), "unknown-kind", format!("there is no kind `{uses}`"))
                    .help(help),
            );
            return None;
        };
        let (Some(with), Some(inputs)) = (&stage.with, &stage.inputs) else {
            return Some(Found { kind: Arc::clone(kind), settled: None });
        };
        let wired: Vec<_> = inputs.keys().cloned().collect();
        let settled = match kind.settle(with.clone(), &self.folders(&stage.with_path(), with), sections, &wired) {
            Ok(settled) => Some(settled),
            Err(SettleError::Fields(errors)) => {
                let at = stage.with_path();
                self.mistakes.extend(errors.iter().map(|error| self.manifest.field_mistake(&at, error)));
                None
            }
            Err(SettleError::Mistakes(mistakes)) => {
                self.param_mistakes(&stage.with_path(), mistakes);
                None
            }
        };
        Some(Found { kind: Arc::clone(kind), settled })
    }

    fn param_mistakes(&mut self, at: &Path, mistakes: Vec<ParamMistake>) {
        self.mistakes.extend(mistakes.into_iter().map(|mistake| param_mistake(self.manifest, at, "wrong-value", mistake)));
    }
}

/// Returns the mistake of a stage or a section at its place in the manifest.
pub(super) fn param_mistake(manifest: &Manifest, at: &Path, code: &'static str, mistake: ParamMistake) -> Mistake {
    manifest.mistake_at_value(&field_path(at, &mistake.field), code, mistake.message).help(mistake.help)
}

fn field_path(at: &Path, field: &[String]) -> Path {
    field.iter().fold(at.clone(), |path, name| path.key(name.as_str()))
}
