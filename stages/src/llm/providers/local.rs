//! The provider `local`: a checkpoint on this machine, decoded greedily. Takes a folder of Hugging Face files and requests; gives replies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use engine::{Context, StageError};
use tokio::sync::Semaphore;

use super::{ProviderKind, Replies, families::Family};
use crate::{
    llm::request::{Reply, Request},
    models::{self, Checkpoint},
    rows::{Outcome, Usage},
    sections::{ProviderSettings, providers::ProviderSetting},
};

pub(super) static KIND: ProviderKind = ProviderKind {
    name: "local",
    summary: "a checkpoint on this machine, in a folder of Hugging Face files",
    example: "providers:\n  here: { kind: local, folder: qwen3-0.6b, device: auto }\nstages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: here/qwen3 } } }\n",
    version: 1,
    check,
    families: FAMILIES,
    replies: Replies::Generated(|ctx, request| Box::pin(generate(ctx, request))),
};

/// Decoding is greedy, so no setting of sampling applies.
const FAMILIES: &[Family] = &[Family {
    prefix: "",
    lacks: &["temperature", "top_p", "seed", "stop", "thinking", "reasoning_effort", "schema"],
    reasons: false,
}];

/// The cap on a reply's tokens unless the request has one.
const MAX_NEW_TOKENS: u32 = 1024;

/// Replies that are generated at the same time. No reply depends on how many there are.
const AT_ONCE: usize = 2;

fn check(_: &str, setting: &ProviderSetting) -> Result<(), String> {
    match setting.folder {
        Some(_) => Ok(()),
        None => {
            Err("a `local` provider needs the model's folder: `providers: { NAME: { kind: local, folder: PATH } }`".to_owned())
        }
    }
}

/// The checkpoints that are open in this process: a service of the program.
pub(crate) struct Checkpoints {
    open: Mutex<HashMap<String, Arc<Checkpoint>>>,
    turns: Semaphore,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { open: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Checkpoints {
    /// Returns the checkpoint of a provider. The first request reads it.
    fn of(&self, ctx: &Context, provider: &str) -> Result<Arc<Checkpoint>, StageError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checkpoint) = open.get(provider) {
            return Ok(Arc::clone(checkpoint));
        }
        let settings = ctx.section::<ProviderSettings>();
        let setting = settings.0.get(provider);
        let folder = setting.and_then(|setting| setting.folder.as_ref());
        let folder = folder.ok_or_else(|| StageError::failed(format!("provider `{provider}` has no folder")))?;
        let device = setting.and_then(|setting| setting.device).unwrap_or_default().open()?;
        let copy = ctx.scratch().join("local");
        std::fs::create_dir_all(&copy)?;
        folder.copy_to(ctx, &copy)?;
        let mut checkpoint = Checkpoint::load(&copy).map_err(StageError::failed)?;
        std::fs::remove_dir_all(&copy)?;
        checkpoint.tokenizer = checkpoint.tokenizer.with_family_template();
        checkpoint = checkpoint.on(&device);
        let checkpoint = Arc::new(checkpoint);
        open.insert(provider.to_owned(), Arc::clone(&checkpoint));
        Ok(checkpoint)
    }
}

/// Generates the reply to a request, when it is its turn.
async fn generate(ctx: &Context, request: &Request) -> Result<Reply, StageError> {
    let checkpoints = ctx.service::<Checkpoints>().ok_or_else(|| StageError::failed("this program opens no checkpoints"))?;
    let _turn = tokio::select! {
        turn = checkpoints.turns.acquire() => turn.map_err(StageError::failed)?,
        () = ctx.cancellation().cancelled() => return Err(StageError::cancelled()),
    };
    let checkpoint = checkpoints.of(ctx, &request.account)?;
    let request = request.clone();
    tokio::task::spawn_blocking(move || reply(&checkpoint, &request)).await.map_err(StageError::failed)?
}

fn reply(checkpoint: &Checkpoint, request: &Request) -> Result<Reply, StageError> {
    let Checkpoint { model, tokenizer, .. } = checkpoint;
    let prompt = tokenizer.render_prompt(&request.prompt).map_err(StageError::failed)?;
    let most = model.max_position_embeddings();
    let room = most.checked_sub(prompt.len()).filter(|room| *room > 0).ok_or_else(|| {
        StageError::failed(format!("the prompt has {} tokens, and `{}` reads {most}", prompt.len(), request.model))
            .help("take a model that reads more, or shorter questions")
    })?;
    let cap = request.settings.max_output_tokens.unwrap_or(MAX_NEW_TOKENS) as usize;
    let input = prompt.len() as u64;
    let ends = tokenizer.stops();
    let mut tokens = models::generate(model, &[prompt], cap.min(room), &ends).map_err(StageError::failed)?.concat();
    let output = tokens.len() as u64;
    let ended = tokens.pop_if(|last| ends.contains(last)).is_some();
    let text = tokenizer.decode(&tokens).map_err(StageError::failed)?;
    let outcome = match (ended, text.trim().is_empty()) {
        (false, _) => Outcome::Truncated,
        (true, true) => Outcome::Empty,
        (true, false) => Outcome::Ok,
    };
    Ok(Reply {
        text: Some(text).filter(|text| !text.trim().is_empty()),
        outcome,
        finish: if ended { "stop" } else { "length" }.to_owned(),
        served: request.model.clone(),
        usage: Usage { input, output, ..Usage::default() },
        reasoning: String::new(),
        error: String::new(),
    })
}
