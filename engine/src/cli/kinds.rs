//! `kinds`: what a stage can use.

use clap::Args;
use serde_json::json;

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
};
use crate::contract::{
    ports::Port,
    registry::{Kind, Registry},
};

/// List the kinds of stage, their ports and their params
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kinds {
    /// One kind, in full
    kind: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost kinds
  fingerpost kinds answer                             its ports and params

`fingerpost schema` prints the same for editors.";

impl Kinds {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let kinds: Vec<_> = match &self.kind {
            None => registry.kinds().collect(),
            Some(name) => vec![registry.find(name).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("there is no kind `{name}`")).help("`fingerpost kinds` lists them")
            })?],
        };
        match common.format {
            Format::Json => {
                let kinds: Vec<_> = kinds
                    .iter()
                    .map(|kind| {
                        json!({
                            "kind": kind.name(),
                            "version": kind.version(),
                            "summary": kind.summary(),
                            "inputs": kind.inputs().iter().map(port).collect::<Vec<_>>(),
                            "outputs": kind.outputs().iter().map(port).collect::<Vec<_>>(),
                            "params": kind.schema(),
                        })
                    })
                    .collect();
                data(&format!("{:#}\n", json!({ "version": 1, "kinds": kinds })))?;
            }
            Format::Text | Format::Github => {
                let text: Vec<_> = kinds.iter().map(|kind| text(kind.as_ref(), self.kind.is_some())).collect();
                data(&text.concat())?;
            }
        }
        Ok(Exit::Done)
    }
}

fn text(kind: &dyn Kind, whole: bool) -> String {
    if whole {
        let sides = [("in", kind.inputs()), ("out", kind.outputs())];
        let ports = sides.iter().flat_map(|(side, ports)| ports.iter().map(move |port| (side, port)));
        let ports: Vec<_> = ports.map(|(side, port)| format!("{side}.{}: {}\n", named(port), port.artifact.name)).collect();
        return format!("{}: {}\n\n{}\nwith: {:#}\n", kind.name(), kind.summary(), ports.concat(), kind.schema());
    }
    let ports = |ports: Vec<Port>| {
        let names: Vec<_> = ports.iter().map(named).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    format!("{:10} {}\n           {} -> {}\n", kind.name(), kind.summary(), ports(kind.inputs()), ports(kind.outputs()))
}

fn named(port: &Port) -> String {
    format!("{}{}", port.name, if port.optional { "?" } else { "" })
}

fn port(port: &Port) -> serde_json::Value {
    json!({ "name": port.name, "artifact": port.artifact.name, "optional": port.optional })
}
