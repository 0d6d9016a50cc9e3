//! Row by row: pure, then effects, then pure. A row → the units to ask for, round by round → its rows.
//!
//! The effect sees nothing but its unit, and the unit's digest is the reply's key: what is not in the unit cannot leak into
//! a reply, and a change of the pure parts buys no reply again.

use std::{any::Any, collections::BTreeMap, future::Future, pin::Pin};

use cache::Digest;
use futures_util::{StreamExt as _, future::join_all, stream::FuturesOrdered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    artifact::{Dataset, DatasetWriter, Row},
    attempt::{self, Attempt},
    context::Context,
    error::StageError,
    forecast::{self, Forecast},
    import::{self, Adopted, Answers},
    section::Sections,
    stage::{ParamMistake, Ports, Stage},
};
use crate::{budget::Price, rows::reply};

/// Something done for a unit whose result is kept: a call to a model.
pub trait Effect: Send + Sync + 'static {
    /// The effect's name; kinds that share an effect share its replies.
    const NAME: &'static str;
    /// Raised when `call` changes its meaning; until then nothing paid for is lost.
    const VERSION: u32;
    /// All that `call` can see.
    type Unit: Serialize + Send + Sync;
    /// What is kept.
    type Reply: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// The worst case of the call, known before it starts.
    fn price(ctx: &Context, unit: &Self::Unit) -> Price;

    /// What a call sends, for people: secrets masked.
    fn describe(ctx: &Context, unit: &Self::Unit) -> Result<serde_json::Value, StageError> {
        let _ = ctx;
        serde_json::to_value(unit).map_err(StageError::failed)
    }

    /// The reply that an answer of `payee` is to this unit, where it is that payee who is asked.
    fn adopted(unit: &Self::Unit, payee: &str, answer: &serde_json::Value) -> Option<Result<Self::Reply, String>> {
        let _ = (unit, payee, answer);
        None
    }

    /// Makes the call.
    fn call(ctx: &Context, unit: &Self::Unit) -> impl Future<Output = Result<Bought<Self::Reply>, StageError>> + Send;
}

/// A reply with the receipt for it. The receipt is kept beside the reply and reaches no row.
pub struct Bought<R> {
    /// The reply.
    pub reply: R,
    /// What was paid for it.
    pub receipt: Option<Receipt>,
    /// Dropped when the reply is durable: a place among those whose reply a kill would lose.
    pub place: Option<Box<dyn Any + Send>>,
}

/// What was paid for a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Who was paid, as the manifest names it.
    pub payee: String,
    /// Nano-dollars; null where nobody knows.
    pub cost: Option<u64>,
    /// How long the call took, in seconds.
    pub seconds: f64,
    /// Whatever else is worth keeping: tokens, the provider's own name for the call.
    pub details: serde_json::Value,
}

/// What a row asks for next.
pub enum Ask<E: Effect> {
    /// A reply, kept or bought.
    Call(E::Unit),
    /// A reply that is known without a call; the memo has no part in it.
    Known(E::Reply),
}

/// A stage that works row by row. The value holds what `open` read once.
pub trait EachRow: Sized + Send + Sync + 'static {
    /// The word after `uses:`.
    const KIND: &'static str;
    /// Raised when `units` or `rows` changes; replies are kept.
    const VERSION: u32;
    /// One sentence for `fingerpost kinds`.
    const SUMMARY: &'static str;
    /// What stands under `with:`.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What stands under `in:`.
    type Inputs: Ports;
    /// What the stage gives: a struct with the one dataset of `Out`.
    type Outputs: Ports;
    /// The rows of the driving dataset.
    type In: Row;
    /// The rows that come out, in the driving dataset's order.
    type Out: Row;
    /// The effect that its units ask for.
    type Effect: Effect;

    /// See [`Stage::settle`].
    fn settle(params: Self::Params, sections: &Sections) -> Result<Self::Params, Vec<ParamMistake>> {
        let _ = sections;
        Ok(params)
    }

    /// See [`Stage::parts`].
    fn parts(params: &Self::Params) -> BTreeMap<String, u32> {
        let _ = params;
        BTreeMap::new()
    }

    /// See [`Stage::ready`].
    fn ready(ctx: &Context, params: &Self::Params) -> Result<(), StageError> {
        let _ = (ctx, params);
        Ok(())
    }

    /// See [`Stage::missing`].
    fn missing(params: &Self::Params, sections: &Sections) -> Vec<ParamMistake> {
        let _ = (params, sections);
        Vec::new()
    }

    /// How messages name a row: ``question `7` ``.
    fn name(row: &Self::In) -> String;

    /// Reads side inputs once; returns the stage and the dataset whose rows drive it.
    fn open(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<(Self, Dataset<Self::In>), StageError>;

    /// What to ask next, given the replies so far; nothing when the row is done.
    fn units(&self, row: &Self::In, replies: &[Reply<Self>]) -> Result<Vec<Ask<Self::Effect>>, StageError>;

    /// The rows that a row becomes.
    fn rows(&self, row: Self::In, replies: Vec<Reply<Self>>) -> Result<Vec<Self::Out>, StageError>;

    /// Names the output port.
    fn outputs(rows: Dataset<Self::Out>) -> Self::Outputs;

    /// What a plan says of the stage besides its calls.
    fn notes(&self) -> Result<Vec<String>, StageError> {
        Ok(Vec::new())
    }

    /// Rows under way at once. A provider's own limits decide how many of their calls are.
    fn rows_in_flight(ctx: &Context, params: &Self::Params) -> usize {
        let _ = (ctx, params);
        ROWS_IN_FLIGHT
    }
}

/// The digest of a unit: the name of its reply.
pub fn unit_digest<E: Effect>(unit: &E::Unit) -> Result<Digest, StageError> {
    Ok(Digest::of_value(&(E::NAME, E::VERSION, unit))?)
}

/// What the effect of `S` replies.
pub type Reply<S> = <<S as EachRow>::Effect as Effect>::Reply;

/// Makes a stage of an [`EachRow`].
pub struct Each<S>(std::marker::PhantomData<fn() -> S>);

/// Enough for every provider's concurrency.
pub const ROWS_IN_FLIGHT: usize = 1024;

impl<S: EachRow> Stage for Each<S> {
    const KIND: &'static str = S::KIND;
    const VERSION: u32 = S::VERSION;
    const SUMMARY: &'static str = S::SUMMARY;
    type Params = S::Params;
    type Inputs = S::Inputs;
    type Outputs = S::Outputs;

    fn settle(params: S::Params, sections: &Sections) -> Result<S::Params, Vec<ParamMistake>> {
        S::settle(params, sections)
    }

    fn missing(params: &S::Params, sections: &Sections) -> Vec<ParamMistake> {
        S::missing(params, sections)
    }

    fn parts(params: &S::Params) -> BTreeMap<String, u32> {
        let mut parts = S::parts(params);
        parts.insert(S::Effect::NAME.to_owned(), S::Effect::VERSION);
        parts
    }

    fn ready(ctx: &Context, params: &S::Params) -> Result<(), StageError> {
        S::ready(ctx, params)
    }

    fn forecast(ctx: &Context, params: &S::Params, inputs: S::Inputs) -> Result<Forecast, StageError> {
        forecast::each::<S>(ctx, params, inputs)
    }

    fn adopt(ctx: &Context, params: &S::Params, inputs: S::Inputs, answers: &Answers) -> Result<Adopted, StageError> {
        import::each::<S>(ctx, params, inputs, answers)
    }

    async fn attempt(
        ctx: &Context,
        params: &S::Params,
        inputs: S::Inputs,
        id: &str,
        send: bool,
    ) -> Result<Vec<Attempt>, StageError> {
        attempt::each::<S>(ctx, params, inputs, id, send).await
    }

    async fn run(ctx: &Context, params: &S::Params, inputs: S::Inputs) -> Result<S::Outputs, StageError> {
        let (stage, driving) = S::open(ctx, params, inputs)?;
        ctx.total(driving.len());
        let mut rows = driving.rows()?;
        let mut writer = DatasetWriter::new(ctx)?;
        let mut in_flight = FuturesOrdered::new();
        let mut failure = None;
        let most = S::rows_in_flight(ctx, params);
        loop {
            while failure.is_none() && in_flight.len() < most {
                let next: Vec<_> = rows.by_ref().take(most - in_flight.len()).collect();
                if next.is_empty() {
                    break;
                }
                for far in as_far_as_known(ctx, &stage, next) {
                    match ctx.check().and(far) {
                        _ if failure.is_some() => {}
                        Ok(Far::Whole(rows)) if in_flight.is_empty() => failure = write(ctx, &mut writer, &rows).err(),
                        Ok(Far::Whole(rows)) => in_flight.push_back(boxed(std::future::ready(Ok(rows)))),
                        Ok(Far::Open(row, replies)) => in_flight.push_back(boxed(one(ctx, &stage, row, replies))),
                        Err(error) => failure = Some(error),
                    }
                }
            }
            // After a failure the rows under way end first, so that what they buy is kept.
            match in_flight.next().await {
                None => break,
                Some(Err(error)) => failure = failure.or(Some(error)),
                Some(Ok(_)) if failure.is_some() => {}
                Some(Ok(rows)) => failure = write(ctx, &mut writer, &rows).err(),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(S::outputs(writer.finish()?)),
        }
    }
}

// A named function: a closure over borrowed rows would not be general enough to be `Send`.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

fn write<R: Row>(ctx: &Context, writer: &mut DatasetWriter<R>, rows: &[R]) -> Result<(), StageError> {
    rows.iter().try_for_each(|row| writer.push(row))?;
    ctx.tick(|| ctx.spent().to_string());
    Ok(())
}

/// How far a row gets with the replies that are known.
enum Far<S: EachRow> {
    Whole(Vec<S::Out>),
    /// The replies of the rounds that are whole.
    Open(S::In, Vec<Reply<S>>),
}

/// Rows that are worth a thread of their own.
const ROWS_A_THREAD: usize = 64;

/// Goes with every row as far as the memo does, on all processors: most rows of most runs are known.
fn as_far_as_known<S: EachRow>(
    ctx: &Context,
    stage: &S,
    rows: Vec<Result<S::In, StageError>>,
) -> Vec<Result<Far<S>, StageError>> {
    let worthwhile = rows.len() / ROWS_A_THREAD;
    if worthwhile < 2 {
        return rows.into_iter().map(|row| row.and_then(|row| known(ctx, stage, row))).collect();
    }
    // Asking for the number reads files, which is no matter for so many rows.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(worthwhile);
    let size = rows.len().div_ceil(threads);
    let mut rows = rows.into_iter();
    let mut parts = (0..threads).map(|_| rows.by_ref().take(size).collect::<Vec<_>>());
    let first = parts.next().unwrap_or_default();
    let work = |part: Vec<Result<S::In, StageError>>| -> Vec<_> {
        part.into_iter().map(|row| row.and_then(|row| known(ctx, stage, row))).collect()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let mut far = work(first);
        for other in others {
            far.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        far
    })
}

/// Goes as far as the memo does, without waiting.
fn known<S: EachRow>(ctx: &Context, stage: &S, row: S::In) -> Result<Far<S>, StageError> {
    let mut replies = Vec::new();
    loop {
        let asked = stage.units(&row, &replies)?;
        if asked.is_empty() {
            return Ok(Far::Whole(stage.rows(row, replies)?));
        }
        let mut round = Vec::with_capacity(asked.len());
        let mut reused = 0;
        for ask in asked {
            let reply = match ask {
                Ask::Known(reply) => Some(reply),
                Ask::Call(unit) => {
                    reused += 1;
                    reply::known::<S::Effect>(ctx, &unit)?.1
                }
            };
            match reply {
                Some(reply) => round.push(reply),
                None => return Ok(Far::Open(row, replies)),
            }
        }
        (0..reused).for_each(|_| ctx.count(false));
        replies.extend(round);
    }
}

async fn one<S: EachRow>(ctx: &Context, stage: &S, row: S::In, mut known: Vec<Reply<S>>) -> Result<Vec<S::Out>, StageError> {
    loop {
        let asked = stage.units(&row, &known)?;
        if asked.is_empty() {
            return stage.rows(row, known);
        }
        // All of a round end, so that what they buy is kept where one of them fails.
        let round = join_all(asked.into_iter().map(|ask| answer::<S::Effect>(ctx, ask))).await;
        for reply in round {
            known.push(reply.map_err(|error| error.at(&S::name(&row)))?);
        }
    }
}

async fn answer<E: Effect>(ctx: &Context, ask: Ask<E>) -> Result<E::Reply, StageError> {
    match ask {
        Ask::Known(reply) => Ok(reply),
        Ask::Call(unit) => reply::reply::<E>(ctx, &unit).await,
    }
}
