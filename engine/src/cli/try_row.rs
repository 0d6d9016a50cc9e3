//! The command `try`. Takes the id of a row; gives what would be asked for it and, with `--send`, the replies. Keeps the receipts and nothing else.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
    inputs,
    named::NamedStage,
    select::position,
};
use crate::{
    budget::Limit,
    contract::{
        attempt::Attempt as Tried,
        context::{Context, Reuse},
        registry::Registry,
    },
};

/// Print the request for one row, secrets masked, and send it with `--send`
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Attempt {
    #[command(flatten)]
    named: NamedStage,
    /// Id of the row
    #[arg(long, value_name = "ID")]
    row: String,
    /// Send what is not cached, at its price; the reply is not kept
    #[arg(long)]
    send: bool,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost try simpleqa.yaml answers --row ID            the exact request
  fingerpost try simpleqa.yaml answers --row ID --send     the reply too

`fingerpost show MANIFEST STAGE --limit 3` prints rows with their ids.";

impl Attempt {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let manifest = self.named.manifest()?;
        let pipeline = common.pipeline(&manifest, registry)?;
        let cache = common.open_cache()?;
        let position = position(&pipeline, &self.named.stage)?;
        let stage = &pipeline.stages[position];
        let inputs = inputs::known(&pipeline, &cache, position, &manifest.manifest)?;
        let shared = super::shared(registry, &pipeline, cache, Vec::new(), Limit::Unlimited, None, None)?;
        for file in stage.files() {
            file.keep(&shared.store)?;
        }
        let context = Context::new(shared, &stage.name, Reuse::All, Limit::Unlimited)?;
        let runtime = super::runtime()?;
        let tried = runtime.block_on(stage.kind.attempt(&context, &stage.settled, inputs, &self.row, self.send))?;
        match common.format {
            Format::Json => data(&format!("{:#}\n", json!({ "version": 1, "asked": tried })))?,
            Format::Text | Format::Github => data(&text(&tried))?,
        }
        Ok(Exit::Done)
    }
}

fn text(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "this row needs no request\n".to_owned();
    }
    let mut text = String::new();
    for tried in tried {
        if tried.request != Value::Null {
            text += &format!("request: {:#}\n", tried.request);
        }
        text += &match tried.from {
            "none" => "reply: not cached; `--send` asks for it\n".to_owned(),
            "stage" => format!("reply, computed locally, no call: {:#}\n", tried.reply),
            "memo" => format!("reply, cached: {:#}\n", tried.reply),
            _ => format!("reply: {:#}\n", tried.reply),
        };
    }
    text
}
