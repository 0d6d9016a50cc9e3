//! The registry: the kinds, sections, rows, templates and commands that a program links in, with their types erased.

use std::{any::Any, collections::BTreeMap, marker::PhantomData, pin::Pin, sync::Arc};

use cache::Output;
use serde_json::Value;

use super::{
    ahead::Ahead,
    artifact::Row,
    attempt::Attempt,
    command::{Command, CommandKind},
    context::{Context, Services},
    error::StageError,
    file::{self, Folders},
    forecast::Forecast,
    format::ExportFormat,
    import::{Adopted, Answers},
    mistake::ParamMistake,
    ports::{Port, Ports as _},
    preflight::{Lack, Surroundings},
    schema,
    section::{Section, SectionKind, Sections},
    stage::Stage,
    typed::{FieldError, typed},
};

type RunFuture<'a> = Pin<Box<dyn Future<Output = Result<BTreeMap<String, Output>, StageError>> + Send + 'a>>;

type AttemptFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<Attempt>, StageError>> + Send + 'a>>;

/// A kind of stage with its types erased.
pub(crate) trait ErasedKind: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn row_by_row(&self) -> bool;
    fn summary(&self) -> &'static str;
    fn example(&self) -> &'static str;
    fn schema(&self) -> Value;
    fn inputs(&self) -> Vec<Port>;
    fn outputs(&self) -> Vec<Port>;
    /// Reads `with:` relative to `folders`, and fills in from the sections what it leaves open.
    fn settle(
        &self,
        with: serde_yaml::Value,
        folders: &Folders,
        sections: &Sections,
        wired: &[String],
    ) -> Result<Settled, SettleError>;
    fn preflight(&self, settled: &Settled, surroundings: &Surroundings<'_>) -> Vec<Lack>;
    fn notes(&self, ctx: &Context, settled: &Settled, ahead: &Ahead) -> Result<Vec<String>, StageError>;
    fn tell(&self, ctx: &Context, settled: &Settled, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError>;
    fn forecast(&self, ctx: &Context, settled: &Settled, inputs: BTreeMap<String, Output>) -> Result<Forecast, StageError>;
    fn adopt(
        &self,
        ctx: &Context,
        settled: &Settled,
        inputs: BTreeMap<String, Output>,
        answers: &Answers,
    ) -> Result<Adopted, StageError>;
    fn attempt<'a>(
        &'a self,
        ctx: &'a Context,
        settled: &'a Settled,
        inputs: BTreeMap<String, Output>,
        id: &'a str,
        send: bool,
    ) -> AttemptFuture<'a>;
    fn run<'a>(&'a self, ctx: &'a Context, settled: &'a Settled, inputs: BTreeMap<String, Output>) -> RunFuture<'a>;
}

/// A stage's params after they were read and filled in, and what follows from them.
#[derive(Clone)]
pub(crate) struct Settled {
    /// The params serialised again, with defaults filled in, as they are in the preimage.
    pub(crate) params: Value,
    pub(crate) parts: BTreeMap<String, u32>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    typed: Arc<dyn Any + Send + Sync>,
}

impl Settled {
    fn typed<P: 'static>(&self) -> &P {
        self.typed.downcast_ref().expect("params are settled by the kind that runs them")
    }
}

/// Why params could not be settled.
pub(crate) enum SettleError {
    /// Fields have the wrong type or name.
    Fields(Vec<FieldError>),
    /// The stage itself found mistakes.
    Mistakes(Vec<ParamMistake>),
}

struct Erased<S>(PhantomData<fn() -> S>);

impl<S: Stage> ErasedKind for Erased<S> {
    fn name(&self) -> &'static str {
        S::KIND
    }

    fn version(&self) -> u32 {
        S::VERSION
    }

    fn row_by_row(&self) -> bool {
        S::ROW_BY_ROW
    }

    fn summary(&self) -> &'static str {
        S::SUMMARY
    }

    fn example(&self) -> &'static str {
        S::EXAMPLE
    }

    fn schema(&self) -> Value {
        schema::of::<S::Params>()
    }

    fn inputs(&self) -> Vec<Port> {
        S::Inputs::declared()
    }

    fn outputs(&self) -> Vec<Port> {
        S::Outputs::declared()
    }

    fn settle(
        &self,
        with: serde_yaml::Value,
        folders: &Folders,
        sections: &Sections,
        wired: &[String],
    ) -> Result<Settled, SettleError> {
        let params = file::reading(folders, || typed::<S::Params>(with));
        let params = S::settle(params.map_err(SettleError::Fields)?, sections).map_err(SettleError::Mistakes)?;
        let (inputs, outputs) = S::ports(&params, wired);
        Ok(Settled {
            params: serde_json::to_value(&params).map_err(|error| {
                SettleError::Mistakes(vec![ParamMistake {
                    field: Vec::new(),
                    message: format!("the params cannot be serialised: {error}"),
                    help: "use names and values that JSON can hold".to_owned(),
                }])
            })?,
            parts: S::parts(&params),
            inputs,
            outputs,
            typed: Arc::new(params),
        })
    }

    fn preflight(&self, settled: &Settled, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        S::preflight(settled.typed::<S::Params>(), surroundings)
    }

    fn notes(&self, ctx: &Context, settled: &Settled, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        S::notes(ctx, settled.typed::<S::Params>(), ahead)
    }

    fn tell(&self, ctx: &Context, settled: &Settled, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        S::tell(ctx, settled.typed::<S::Params>(), ahead)
    }

    fn forecast(&self, ctx: &Context, settled: &Settled, inputs: BTreeMap<String, Output>) -> Result<Forecast, StageError> {
        S::forecast(ctx, settled.typed::<S::Params>(), S::Inputs::open(ctx.store(), inputs)?)
    }

    fn adopt(
        &self,
        ctx: &Context,
        settled: &Settled,
        inputs: BTreeMap<String, Output>,
        answers: &Answers,
    ) -> Result<Adopted, StageError> {
        S::adopt(ctx, settled.typed::<S::Params>(), S::Inputs::open(ctx.store(), inputs)?, answers)
    }

    fn attempt<'a>(
        &'a self,
        ctx: &'a Context,
        settled: &'a Settled,
        inputs: BTreeMap<String, Output>,
        id: &'a str,
        send: bool,
    ) -> AttemptFuture<'a> {
        Box::pin(async move {
            let inputs = S::Inputs::open(ctx.store(), inputs)?;
            S::attempt(ctx, settled.typed::<S::Params>(), inputs, id, send).await
        })
    }

    fn run<'a>(&'a self, ctx: &'a Context, settled: &'a Settled, inputs: BTreeMap<String, Output>) -> RunFuture<'a> {
        Box::pin(async move {
            let params = settled.typed::<S::Params>();
            let inputs = S::Inputs::open(ctx.store(), inputs)?;
            Ok(S::run(ctx, params, inputs).await?.seal())
        })
    }
}

/// A manifest that comes with the program, and the files it needs beside it.
#[derive(Clone, Copy)]
pub struct Template {
    /// What `init --template` takes.
    pub name: &'static str,
    /// File names and texts; the first is the manifest.
    pub files: &'static [(&'static str, &'static str)],
}

/// What a param of a kind can name, such as a judge: for `fingerpost kinds`.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is: `judge`.
    pub group: &'static str,
    /// The word in the manifest.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A few lines of a manifest that use it.
    pub example: String,
}

/// A public type of rows.
pub(crate) struct RowKind {
    pub(crate) name: &'static str,
    pub(crate) schema: fn() -> Value,
}

/// All that a program can run.
#[derive(Default)]
pub struct Registry {
    kinds: Vec<Arc<dyn ErasedKind>>,
    sections: Vec<SectionKind>,
    rows: Vec<RowKind>,
    parts: Vec<Part>,
    templates: Vec<Template>,
    commands: Vec<CommandKind>,
    formats: Vec<ExportFormat>,
    services: Services,
}

impl Registry {
    /// Returns an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind of stage.
    #[must_use]
    pub fn kind<S: Stage>(mut self) -> Self {
        self.kinds.push(Arc::new(Erased::<S>(PhantomData)));
        self
    }

    /// Adds a section.
    #[must_use]
    pub fn section<S: Section>(mut self) -> Self {
        self.sections.push(SectionKind::of::<S>());
        self
    }

    /// Adds a public type of rows.
    #[must_use]
    pub fn row<R: Row>(mut self) -> Self {
        self.rows.push(RowKind { name: R::NAME, schema: schema::of::<R> });
        self
    }

    /// Adds what params of kinds can name.
    #[must_use]
    pub fn parts(mut self, parts: impl IntoIterator<Item = Part>) -> Self {
        self.parts.extend(parts);
        self
    }

    /// Adds a template; the first is the default of `init`.
    #[must_use]
    pub fn template(mut self, template: Template) -> Self {
        self.templates.push(template);
        self
    }

    /// Adds a command beside those of the engine.
    #[must_use]
    pub fn command<C: Command>(mut self) -> Self {
        self.commands.push(CommandKind::of::<C>());
        self
    }

    /// Adds a format that `export --as` writes.
    #[must_use]
    pub fn format(mut self, format: ExportFormat) -> Self {
        self.formats.push(format);
        self
    }

    /// Sets the services of all stages.
    #[must_use]
    pub fn services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Arc<dyn ErasedKind>> {
        self.kinds.iter()
    }

    pub(crate) fn find(&self, kind: &str) -> Option<&Arc<dyn ErasedKind>> {
        self.kinds.iter().find(|known| known.name() == kind)
    }

    pub(crate) fn sections(&self) -> &[SectionKind] {
        &self.sections
    }

    pub(crate) fn rows(&self) -> &[RowKind] {
        &self.rows
    }

    pub(crate) fn named_parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn templates(&self) -> &[Template] {
        &self.templates
    }

    pub(crate) fn commands(&self) -> &[CommandKind] {
        &self.commands
    }

    pub(crate) fn formats(&self) -> &[ExportFormat] {
        &self.formats
    }

    pub(crate) fn shared_services(&self) -> Services {
        self.services.clone()
    }
}
