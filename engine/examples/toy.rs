//! A program made of the engine and kinds of its own: lines of a file, shouted by pretended models that cost money. It is one file, so that
//! it can be copied as the start of another program; each kind in it is a case of the engine's tests.
//!
//! `cargo run --example toy -- run words.yaml`, with such a manifest:
//!
//! ```yaml
//! version: 1
//! stages:
//!   words: { uses: lines, with: { path: words.txt } }
//!   shouts: { uses: shout, in: { lines: words }, with: { models: [loud] } }
//!   tally: { uses: count, in: { lines: shouts } }
//! ```
#![expect(clippy::disallowed_methods, reason = "a test program is told what to do by variables")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use engine::{
    Ask, Bought, Checkpoint, CommandError, Context, Dataset, Each, EachRow, Effect, File, Kind, Metrics, Price, Purchase,
    Receipt, Registry, Reply, Row, Services, Stage, StageError, Template, ports,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn main() -> ExitCode {
    let registry = Registry::new()
        .kind::<Lines>()
        .kind::<Each<Shout>>()
        .kind::<Count>()
        .kind::<Join>()
        .kind::<Halves>()
        .kind::<Folder>()
        .kind::<Unpack>()
        .kind::<Wait>()
        .kind::<Climb>()
        .kind::<List>()
        .kind::<Fail>()
        .row::<Line>()
        .command::<Spell>()
        .template(Template { name: "words", files: &[("words.yaml", WORDS), ("words.txt", "one\ntwo\n")] })
        .services(Services::default().with(Telephone::from_environment()));
    engine::cli::main(registry)
}

const WORDS: &str = "version: 1\nstages:\n  words: { uses: lines, with: { path: words.txt } }\n";

/// Spell a word
#[derive(clap::Args)]
struct Spell {
    /// The word
    word: String,
}

impl engine::Command for Spell {
    const NAME: &'static str = "spell";
    const HIDDEN: bool = true;

    fn run(&self) -> Result<String, CommandError> {
        match self.word.as_str() {
            "" => Err(CommandError::usage("`WORD` is empty").help("give one letter at least")),
            "supercalifragilisticexpialidocious" => Err(StageError::failed("out of breath").into()),
            word => Ok(word.chars().flat_map(|letter| [letter, '\n']).collect()),
        }
    }
}

/// One line of text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Line {
    /// The line's number, from 1; a shouted line has its model's name behind it.
    id: String,
    text: String,
}

impl Row for Line {
    const NAME: &'static str = "line";
}

ports! { pub struct NoInputs {} }
ports! { pub struct Rows { lines: Dataset<Line> } }
ports! { pub struct Figures { metrics: Metrics } }

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

/// A file → its lines, without the space around them.
struct Lines;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinesParams {
    path: File,
    #[serde(default = "yes")]
    blank: bool,
}

fn yes() -> bool {
    true
}

impl Kind for Lines {
    const KIND: &'static str = "lines";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the lines of a file";
    type Params = LinesParams;
    type Inputs = NoInputs;
    type Outputs = Rows;
}

impl Stage for Lines {
    async fn run(ctx: &Context, params: &LinesParams, _: NoInputs) -> Result<Rows, StageError> {
        let mut rows = Vec::new();
        for (index, line) in params.path.open(ctx)?.lines().enumerate() {
            let text = line?.trim().to_owned();
            if text.contains('\t') {
                return Err(StageError::failed(format!("{}, line {}: a tab", params.path.name(), index + 1)).help("use spaces"));
            }
            if params.blank || !text.is_empty() {
                rows.push(Line { id: (index + 1).to_string(), text });
            }
        }
        Ok(Rows { lines: Dataset::write(ctx, rows)? })
    }
}

/// What calls go through: tells a file of each, and takes its time.
struct Telephone {
    calls: Option<std::path::PathBuf>,
    time: Duration,
}

impl Telephone {
    fn from_environment() -> Self {
        let milliseconds = std::env::var("TOY_MILLISECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { calls: std::env::var_os("TOY_CALLS").map(Into::into), time: Duration::from_millis(milliseconds) }
    }

    fn note(&self, unit: &Unit) -> Result<(), StageError> {
        let Some(path) = &self.calls else { return Ok(()) };
        let mut file = std::fs::File::options().append(true).create(true).open(path)?;
        Ok(file.write_all(format!("{} {}\n", unit.model, unit.text).as_bytes())?)
    }
}

/// A call to a pretended model: `loud` costs a tenth of a cent, `free` nothing, and what `secretive` costs is not known.
struct Call;

#[derive(Serialize)]
struct Unit {
    model: String,
    text: String,
}

impl Effect for Call {
    const NAME: &'static str = "call";
    const VERSION: u32 = 1;
    type Unit = Unit;
    type Reply = String;

    fn price(_: &Context, unit: &Unit) -> Price {
        match unit.model.as_str() {
            "free" => Price::Free,
            "secretive" => Price::Unknown,
            _ => Price::AtMost(1_000_000),
        }
    }

    fn payee(unit: &Unit) -> String {
        unit.model.clone()
    }

    async fn call(ctx: &Context, unit: &Unit, purchase: &Purchase<'_>) -> Result<Bought<String>, StageError> {
        let held = purchase.hold().await?;
        let telephone = ctx.service::<Telephone>().expect("the program has one");
        tokio::time::sleep(telephone.time).await;
        match unit.text.as_str() {
            "busy" => return Err(StageError::transient("the line is busy")),
            "rude" => return Err(StageError::failed("no model shouts that").help("take out `rude`")),
            _ => {}
        }
        telephone.note(unit)?;
        let cost = match unit.model.as_str() {
            "free" => Some(0),
            "secretive" => None,
            // A whisper costs less than it might have.
            "whisper" => Some(100_000),
            _ => Some(1_000_000),
        };
        let receipt = Receipt { payee: unit.model.clone(), cost, seconds: telephone.time.as_secs_f64(), details: Value::Null };
        Ok(Bought { reply: unit.text.to_uppercase(), paid: Some(held.pay(&receipt)?), place: None })
    }
}

/// Each line → the line as each model shouts it.
struct Shout {
    models: Vec<String>,
    ending: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShoutParams {
    models: Vec<String>,
    /// Put behind what a model says.
    #[serde(default = "mark")]
    ending: String,
}

fn mark() -> String {
    "!".to_owned()
}

impl Kind for Shout {
    const KIND: &'static str = "shout";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "lines as models shout them";
    type Params = ShoutParams;
    type Inputs = Rows;
    type Outputs = Rows;
}

impl EachRow for Shout {
    type In = Line;
    type Out = Line;
    type Effect = Call;

    fn name(line: &Line) -> String {
        format!("line {}", line.id)
    }

    fn open(_: &Context, params: &ShoutParams, inputs: Rows) -> Result<(Self, Dataset<Line>), StageError> {
        Ok((Self { models: params.models.clone(), ending: params.ending.clone() }, inputs.lines))
    }

    fn units(&self, row: &Line, replies: &[Reply<Self>]) -> Result<Vec<Ask<Call>>, StageError> {
        let models = if replies.is_empty() { self.models.as_slice() } else { &[] };
        Ok(models.iter().map(|model| Ask::Call(Unit { model: model.clone(), text: row.text.clone() })).collect())
    }

    fn rows(&self, row: Line, replies: Vec<Reply<Self>>) -> Result<Vec<Line>, StageError> {
        let lines = self.models.iter().zip(replies);
        Ok(lines
            .map(|(model, reply)| Line { id: format!("{}/{model}", row.id), text: format!("{reply}{}", self.ending) })
            .collect())
    }

    fn outputs(lines: Dataset<Line>) -> Rows {
        Rows { lines }
    }
}

/// Lines → how many there are and how long they are together.
struct Count;

impl Kind for Count {
    const KIND: &'static str = "count";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "number of lines and letters";
    type Params = NoParams;
    type Inputs = Rows;
    type Outputs = Figures;
}

impl Stage for Count {
    async fn run(ctx: &Context, _: &NoParams, inputs: Rows) -> Result<Figures, StageError> {
        let (mut lines, mut letters) = (0_usize, 0);
        for line in inputs.lines.rows()? {
            lines += 1;
            letters += line?.text.chars().count();
        }
        Ok(Figures { metrics: Metrics::write(ctx, &BTreeMap::from([("lines", lines), ("letters", letters)]))? })
    }
}

ports! { pub struct TwoRows { left: Dataset<Line>, right: Option<Dataset<Line>> } }

/// Lines and more lines → all of them.
struct Join;

impl Kind for Join {
    const KIND: &'static str = "join";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "lines behind each other";
    type Params = NoParams;
    type Inputs = TwoRows;
    type Outputs = Rows;
}

impl Stage for Join {
    async fn run(ctx: &Context, _: &NoParams, inputs: TwoRows) -> Result<Rows, StageError> {
        let mut rows = inputs.left.rows()?.collect::<Result<Vec<_>, _>>()?;
        if let Some(right) = inputs.right {
            rows.extend(right.rows()?.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Rows { lines: Dataset::write(ctx, rows)? })
    }
}

ports! { pub struct TwoHalves { first: Dataset<Line>, second: Dataset<Line> } }

/// Lines → the first and the second half of them.
struct Halves;

impl Kind for Halves {
    const KIND: &'static str = "halves";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "two halves of lines";
    type Params = NoParams;
    type Inputs = Rows;
    type Outputs = TwoHalves;
}

impl Stage for Halves {
    async fn run(ctx: &Context, _: &NoParams, inputs: Rows) -> Result<TwoHalves, StageError> {
        let mut rows = inputs.lines.rows()?.collect::<Result<Vec<_>, _>>()?;
        let second = rows.split_off(rows.len() / 2);
        Ok(TwoHalves { first: Dataset::write(ctx, rows)?, second: Dataset::write(ctx, second)? })
    }
}

ports! { pub struct Kept { checkpoint: Checkpoint } }

/// Lines → a folder with a file a line.
struct Folder;

impl Kind for Folder {
    const KIND: &'static str = "folder";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a folder with a file a line";
    type Params = NoParams;
    type Inputs = Rows;
    type Outputs = Kept;
}

impl Stage for Folder {
    async fn run(ctx: &Context, _: &NoParams, inputs: Rows) -> Result<Kept, StageError> {
        for line in inputs.lines.rows()? {
            let line = line?;
            std::fs::write(ctx.scratch().join(&line.id), line.text)?;
        }
        Ok(Kept { checkpoint: Checkpoint::keep(ctx, ctx.scratch())? })
    }
}

/// A folder → a line for each of its files.
struct Unpack;

impl Kind for Unpack {
    const KIND: &'static str = "unpack";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the files of a folder, a line each";
    type Params = NoParams;
    type Inputs = Kept;
    type Outputs = Rows;
}

impl Stage for Unpack {
    async fn run(ctx: &Context, _: &NoParams, inputs: Kept) -> Result<Rows, StageError> {
        inputs.checkpoint.copy_to(ctx.scratch())?;
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(ctx.scratch())? {
            let entry = entry?;
            let id = entry.file_name().to_string_lossy().into_owned();
            lines.push(Line { id, text: std::fs::read_to_string(entry.path())? });
        }
        lines.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Rows { lines: Dataset::write(ctx, lines)? })
    }
}

/// Lines → the same lines, a while later.
struct Wait;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitParams {
    milliseconds: u64,
    /// Goes on until its end whoever wants it to stop.
    #[serde(default)]
    stubborn: bool,
}

impl Kind for Wait {
    const KIND: &'static str = "wait";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the same lines, a while later";
    type Params = WaitParams;
    type Inputs = Rows;
    type Outputs = Rows;
}

impl Stage for Wait {
    async fn run(ctx: &Context, params: &WaitParams, inputs: Rows) -> Result<Rows, StageError> {
        for _ in 0..params.milliseconds / 10 {
            if !params.stubborn {
                ctx.check()?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(inputs)
    }
}

/// Lines → the same lines, one step each; a run that was stopped goes on behind the steps it had done.
struct Climb;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClimbParams {
    milliseconds: u64,
}

impl Kind for Climb {
    const KIND: &'static str = "climb";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the same lines, one step each";
    type Params = ClimbParams;
    type Inputs = Rows;
    type Outputs = Rows;
}

impl Stage for Climb {
    async fn run(ctx: &Context, params: &ClimbParams, inputs: Rows) -> Result<Rows, StageError> {
        let folder = ctx.scratch().join("kept");
        std::fs::create_dir(&folder)?;
        let done = ctx.latest_checkpoint(&folder)?.unwrap_or(0);
        ctx.say(format!("goes on behind step {done}"));
        let mut text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
        for line in inputs.lines.rows()?.skip(done as usize) {
            ctx.check()?;
            std::thread::sleep(Duration::from_millis(params.milliseconds));
            text += &format!("{}\n", line?.text);
            std::fs::write(folder.join("lines"), &text)?;
            ctx.checkpoint(text.lines().count() as u64, &folder)?;
        }
        let line = |(place, text): (usize, &str)| Line { id: place.to_string(), text: text.to_owned() };
        Ok(Rows { lines: Dataset::write(ctx, text.lines().enumerate().map(line))? })
    }
}

/// A folder → its files' names and sizes.
struct List;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListParams {
    folder: engine::Folder,
}

impl Kind for List {
    const KIND: &'static str = "list";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "names and sizes of a folder's files";
    type Params = ListParams;
    type Inputs = NoInputs;
    type Outputs = Rows;
}

impl Stage for List {
    async fn run(ctx: &Context, params: &ListParams, _: NoInputs) -> Result<Rows, StageError> {
        params.folder.copy_to(ctx, ctx.scratch())?;
        let mut lines = Vec::new();
        for name in params.folder.files().keys() {
            let bytes = std::fs::metadata(ctx.scratch().join(name))?.len();
            lines.push(Line { id: name.clone(), text: format!("{bytes} bytes") });
        }
        Ok(Rows { lines: Dataset::write(ctx, lines)? })
    }
}

/// Lines → nothing but trouble.
struct Fail;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FailParams {
    how: How,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    Stage,
    Environment,
    Panic,
}

impl Kind for Fail {
    const KIND: &'static str = "fail";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "nothing but trouble";
    type Params = FailParams;
    type Inputs = Rows;
    type Outputs = Rows;
}

impl Stage for Fail {
    async fn run(_: &Context, params: &FailParams, _: Rows) -> Result<Rows, StageError> {
        match params.how {
            How::Stage => Err(StageError::failed("these lines will not do").help("write other ones")),
            How::Environment => Err(StageError::environment("the disk is on fire").help("fetch a bucket")),
            How::Panic => panic!("a line too many"),
        }
    }
}
