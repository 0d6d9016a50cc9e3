//! `recording`: logs of other programs as recorded answers. Takes a log; gives JSON lines with ids, questions and answers by model.

use std::path::PathBuf;

use clap::Args;
use engine::{CommandError, StageError};
use serde_json::{Value, json};

use crate::llm::recording::{ANY_MODEL, read_path};

/// Print a log of another program as recorded answers
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RecordingCommand {
    /// Log of inspect-ai (`.eval`, JSON), samples of lm-evaluation-harness, results of promptfoo, or log of `openai/evals`
    #[arg(value_name = "LOG")]
    log: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost recording log.eval > answers.jsonl
  fingerpost cache import answers.jsonl --as openai/gpt-5 --manifest simpleqa.yaml    replies that need not be bought again

A provider `replay` and the judge `recorded` read such a log as it is.";

impl engine::Command for RecordingCommand {
    const NAME: &'static str = "recording";

    fn run(&self) -> Result<String, CommandError> {
        let mut lines = String::new();
        for recording in read_path(&self.log)? {
            let recording = recording?;
            let mut line = serde_json::to_value(&recording).map_err(StageError::failed)?;
            // Without a name of its own, the answer is that of whichever model the reader of the line names.
            if let Some(recorded) = recording.answers.get(ANY_MODEL) {
                line = json!({ "id": recording.id, "question": recording.question });
                if let (Value::Object(line), Ok(Value::Object(recorded))) = (&mut line, serde_json::to_value(recorded)) {
                    line.retain(|_, value| !value.is_null() && *value != "");
                    line.extend(recorded);
                }
            }
            lines += &format!("{line}\n");
        }
        Ok(lines)
    }
}
