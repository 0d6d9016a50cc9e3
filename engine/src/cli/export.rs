//! The command `export`. Takes a stage, or one of its ports; gives its outputs as files. Runs nothing.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use ::cache::{Cache, Output};
use clap::Args;

use super::{
    Common, ManifestArguments, bytes,
    exit::{Exit, Failure},
    rewrite,
    show::{named, outputs, split},
    talk,
};
use crate::{
    contract::{artifact::copy_tree, registry::Registry},
    store::Store,
    visible::visible,
};

/// Write the outputs of a stage to a file or folder
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    #[command(flatten)]
    manifest: ManifestArguments,
    /// Stage, or one of its ports; without a port, a folder with an entry for each port
    #[arg(value_name = "STAGE[.PORT]")]
    artifact: String,
    /// File or folder to write; `-` for standard output
    path: PathBuf,
    /// Write a folder of files that another program reads; a wrong name lists the formats
    #[arg(long = "as", value_name = "FORMAT")]
    rewritten: Option<String>,
    /// Replace a file or folder that exists
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost export quickstart.yaml dpo.checkpoint ./router                 a folder with the trained model
  fingerpost export quickstart.yaml verdicts.verdicts rows.jsonl --force    replace an older file
  fingerpost export quickstart.yaml labels -                                to standard output
  fingerpost export quickstart.yaml verdicts logs --as inspect              for `inspect view`

`fingerpost show MANIFEST STAGE` prints rows, with filters.";

impl Export {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let pipeline = common.pipeline(&self.manifest, registry)?;
        let (name, port) = split(&self.artifact);
        let cache = common.open_cache()?;
        let files = match &self.rewritten {
            Some(_) if self.is_stdout() => {
                return Err(Failure::new(Exit::Usage, "`--as` writes a folder").help("name a folder in place of `-`"));
            }
            Some(format) => {
                let format = rewrite::find(registry, format)?;
                Some(rewrite::files(&pipeline, &cache, name, &self.manifest, format)?)
            }
            None => None,
        };
        let outputs = outputs(&pipeline, &cache, name, &self.manifest)?;
        let one = match (port, outputs.as_slice()) {
            (Some(port), _) => Some(named(&outputs, name, port)?),
            (None, [(_, only)]) if self.is_stdout() => Some(only),
            (None, _) if self.is_stdout() => {
                return Err(Failure::new(Exit::Usage, format!("`{name}` has several outputs")).help("name one: `STAGE.PORT`"));
            }
            (None, _) => None,
        };
        if self.is_stdout() {
            return stream(&cache, one);
        }
        self.refuse_existing()?;
        // A link is followed, so that it stays a link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        for needed in [Path::new("."), &self.manifest.manifest, cache.folder()] {
            if fs::canonicalize(needed).is_ok_and(|needed| needed.starts_with(&path)) {
                let message = format!("`{}` has the current folder, the manifest or the cache in it", self.path.display());
                return Err(Failure::new(Exit::Usage, message).help("name a new file or folder"));
            }
        }
        // Everything is written beside the path first, so that nothing half written or left over is ever at the path.
        let beside = tempfile::Builder::new()
            .prefix(".fingerpost-export-")
            .tempdir_in(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
            .map_err(|error| self.unwritten(&error))?;
        let made = beside.path().join("export");
        if let Some(files) = files {
            fs::create_dir(&made).map_err(|error| self.unwritten(&error))?;
            for file in files {
                fs::write(made.join(file.name), file.bytes).map_err(|error| self.unwritten(&error))?;
            }
        } else if let Some(output) = one {
            write(&cache, output, &made)?;
        } else {
            fs::create_dir(&made).map_err(|error| self.unwritten(&error))?;
            for (port, output) in &outputs {
                write(&cache, output, &made.join(format!("{port}{}", extension(output))))?;
            }
        }
        put(&made, &path, &beside.path().join("before")).map_err(|error| self.unwritten(&error))?;
        if !common.quiet {
            talk(&format!("wrote `{}`\n", visible(&self.path.display().to_string())));
        }
        Ok(Exit::Done)
    }

    fn is_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Refuses a path at which there is something that must not be replaced.
    fn refuse_existing(&self) -> Result<(), Failure> {
        let shown = self.path.display();
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.unwritten(&error)),
            Ok(there) if !there.is_file() && !there.is_dir() => {
                Err(Failure::new(Exit::Usage, format!("`{shown}` is neither a file nor a folder"))
                    .help("name another path, or `-` for standard output"))
            }
            Ok(there) if there.is_dir() && fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none()) => Ok(()),
            Ok(_) if self.force => Ok(()),
            Ok(there) => {
                let what = if there.is_dir() { "folder" } else { "file" };
                Err(Failure::new(Exit::Usage, format!("`{shown}` exists"))
                    .help(format!("`--force` replaces the whole {what}, or name another path")))
            }
        }
    }

    fn unwritten(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", self.path.display()))
    }
}

/// Moves what was made to the path, and what was there out of the way. If that fails, puts back what was there.
fn put(made: &Path, path: &Path, before: &Path) -> io::Result<()> {
    if path.is_dir() || (made.is_dir() && path.exists()) {
        fs::rename(path, before)?;
        return fs::rename(made, path).or_else(|error| fs::rename(before, path).and(Err(error)));
    }
    fs::rename(made, path)
}

fn extension(output: &Output) -> &'static str {
    match output.artifact.as_str() {
        "metrics" => ".json",
        artifact if artifact.starts_with("dataset<") => ".jsonl",
        _ => "",
    }
}

fn write(cache: &Arc<Cache>, output: &Output, path: &Path) -> Result<(), Failure> {
    if output.tree {
        fs::create_dir_all(path)
            .map_err(|error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", path.display())))?;
        copy_tree(&Store::new(Arc::clone(cache)), &output.digest, path)?;
    } else {
        cache.copy_to(&output.digest, path)?;
    }
    Ok(())
}

/// Writes the bytes of a file to standard output, unchanged where that is not a terminal.
fn stream(cache: &Arc<Cache>, output: Option<&Output>) -> Result<Exit, Failure> {
    let Some(output) = output.filter(|output| !output.tree) else {
        return Err(Failure::new(Exit::Usage, "a folder cannot be written to standard output").help("name a path"));
    };
    if io::stdout().is_terminal() {
        bytes(&cache.read(&output.digest)?)?;
        return Ok(Exit::Done);
    }
    let mut out = io::stdout().lock();
    let copied = Store::new(Arc::clone(cache)).buffered(&output.digest).map(|mut from| io::copy(&mut from, &mut out))?;
    match copied.and_then(|_| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::Environment, format!("standard output cannot be written: {error}"))),
        Ok(()) => Ok(Exit::Done),
    }
}
