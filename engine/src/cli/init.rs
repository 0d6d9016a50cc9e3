//! `init`: a manifest that runs, from the ones that come with the program.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::{
    data,
    exit::{Exit, Failure},
};
use crate::contract::registry::Registry;

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
        files.push(("fingerpost.schema.json", &schema));
        files.push((".gitignore", IGNORED));
        std::fs::create_dir_all(&self.folder).map_err(|error| self.unwritten(&error))?;
        for (name, text) in &files {
            self.write(name, text)?;
        }
        let manifest = self.folder.join(template.files.first().map_or("", |(name, _)| name));
        data(&format!("wrote `{0}`; next: `fingerpost run {0}`\n", manifest.display()))?;
        Ok(Exit::Done)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let file = std::fs::File::options().write(true).create_new(true).open(&path);
        match file.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => Ok(()),
            // Somebody's own list of ignored files is theirs, and a schema is written again by the same name only.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && name.starts_with('.') => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::new(Exit::Usage, format!("`{}` is there already", path.display()))
                    .help("give another folder: `fingerpost init FOLDER`"))
            }
            Err(error) => Err(self.unwritten(&error)),
        }
    }

    fn unwritten(&self, error: &std::io::Error) -> Failure {
        Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", self.folder.display()))
    }
}
