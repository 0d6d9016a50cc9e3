//! The command `init`. Takes the name of a template that comes with the program; gives a folder with a manifest that runs.

use std::{collections::BTreeSet, io::Write as _, path::PathBuf};

use clap::Args;

use super::{
    data,
    exit::{Exit, Failure},
};
use crate::{
    contract::registry::{Registry, Template},
    environment::Environment,
    manifest,
    resolve::resolve,
    source::Source,
};

/// Write a manifest that runs into a folder
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// The folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Which manifest
    #[arg(long)]
    template: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost init example                             the first template, into a new folder
  fingerpost init example --template NAME             another one; a wrong NAME lists them

`fingerpost plan MANIFEST` shows what it would run.";

const SCHEMA_LINE: &str = "# yaml-language-server: $schema=./fingerpost.schema.json\n";

/// Collects the names that are written as `{ env: NAME }`.
fn variables_in(value: &serde_yaml::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::Mapping(mapping) => {
            if let (1, Some(serde_yaml::Value::String(name))) = (mapping.len(), mapping.get("env")) {
                found.insert(name.clone());
            }
            mapping.iter().for_each(|(_, value)| variables_in(value, found));
        }
        serde_yaml::Value::Sequence(items) => items.iter().for_each(|value| variables_in(value, found)),
        _ => {}
    }
}

const IGNORED: &str = ".fingerpost/\nruns/\n";

impl Init {
    pub(super) fn run(&self, registry: &Registry) -> Result<Exit, Failure> {
        let templates = registry.templates();
        let names = || templates.iter().map(|template| template.name).collect::<Vec<_>>().join(", ");
        let template = match &self.template {
            None => templates.first(),
            Some(name) => templates.iter().find(|template| template.name == name),
        };
        let template = template.ok_or_else(|| {
            let asked = self.template.as_deref().unwrap_or_default();
            Failure::new(Exit::Usage, format!("there is no template `{asked}`")).help(format!("the templates are {}", names()))
        })?;
        let schema = format!("{:#}\n", super::schema::manifest(registry));
        let mut files: Vec<(&str, &str)> = template.files.to_vec();
        // Editors that use yaml-language-server complete and check by this line.
        let first = template.files.first().map(|(_, text)| format!("{SCHEMA_LINE}{text}")).unwrap_or_default();
        if let Some((_, text)) = files.first_mut() {
            *text = &first;
        }
        files.push(("fingerpost.schema.json", &schema));
        files.push((".gitignore", IGNORED));
        std::fs::create_dir_all(&self.folder).map_err(|error| self.unwritten(&error))?;
        for (name, text) in &files {
            self.write(name, text)?;
        }
        let manifest = self.folder.join(template.files.first().map_or("", |(name, _)| name));
        let manifest = manifest.display();
        let needs: Vec<_> = self.needs(registry, template).iter().map(|need| format!("  - {need}\n")).collect();
        let needs = needs.concat();
        data(&match needs.as_str() {
            "" => format!("wrote `{manifest}`; next: `fingerpost run {manifest}`\n"),
            needs => format!("wrote `{manifest}`; before `fingerpost run {manifest}` it needs:\n{needs}"),
        })?;
        Ok(Exit::Done)
    }

    /// Lists what the manifest needs and is missing: files, and variables that hold keys.
    fn needs(&self, registry: &Registry, template: &Template) -> Vec<String> {
        let Some((name, text)) = template.files.first() else { return Vec::new() };
        let read = Source::read(&self.folder.join(name)).and_then(|source| {
            let manifest = manifest::parse(source, self.folder.clone(), &[])?;
            resolve(manifest, registry).map(|_| ())
        });
        let mut needs: Vec<_> = read.err().unwrap_or_default().into_iter().map(|mistake| mistake.message).collect();
        let environment = Environment::beside(&self.folder).unwrap_or_default();
        let mut variables = BTreeSet::new();
        variables_in(&serde_yaml::from_str(text).unwrap_or_default(), &mut variables);
        let unset = variables.into_iter().filter(|name| environment.get(name).is_none_or(|value| value.is_empty()));
        needs.extend(unset.map(|name| format!("the environment variable `{name}`, or `{name}=…` in `.env` beside the manifest")));
        needs.dedup();
        needs
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let file = std::fs::File::options().write(true).create_new(true).open(&path);
        match file.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => Ok(()),
            // A `.gitignore` that exists is the user's own, and stays as it is.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && name.starts_with('.') => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::new(Exit::Usage, format!("`{}` already exists", path.display()))
                    .help("give another folder: `fingerpost init FOLDER`"))
            }
            Err(error) => Err(self.unwritten(&error)),
        }
    }

    fn unwritten(&self, error: &std::io::Error) -> Failure {
        Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", self.folder.display()))
    }
}
