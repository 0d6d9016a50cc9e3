//! A run through all rows. Takes a stage that works row by row; gives a stage in which many rows at once ask for their replies, and come
//! out in order.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesOrdered};

use super::{attempt, forecast, import, reply};
use crate::contract::{
    artifact::{DatasetWriter, Row},
    attempt::Attempt,
    context::Context,
    each::{Each, EachRow, Reply},
    effect::{Ask, Effect},
    error::{Blame, StageError},
    forecast::Forecast,
    import::{Adopted, Answers},
    kind::Kind,
    mistake::ParamMistake,
    ports::Port,
    preflight::{Lack, Surroundings},
    section::Sections,
    stage::Stage,
};

impl<S: EachRow> Kind for Each<S> {
    const KIND: &'static str = S::KIND;
    const VERSION: u32 = S::VERSION;
    const SUMMARY: &'static str = S::SUMMARY;
    const EXAMPLE: &'static str = S::EXAMPLE;
    type Params = S::Params;
    type Inputs = S::Inputs;
    type Outputs = S::Outputs;

    fn settle(params: S::Params, sections: &Sections) -> Result<S::Params, Vec<ParamMistake>> {
        S::settle(params, sections)
    }

    fn parts(params: &S::Params) -> BTreeMap<String, u32> {
        let mut parts = S::parts(params);
        parts.insert(S::Effect::NAME.to_owned(), S::Effect::VERSION);
        parts
    }

    fn ports(params: &S::Params, wired: &[String]) -> (Vec<Port>, Vec<Port>) {
        S::ports(params, wired)
    }

    fn preflight(params: &S::Params, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        S::preflight(params, surroundings)
    }
}

impl<S: EachRow> Stage for Each<S> {
    const ROW_BY_ROW: bool = true;

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
        loop {
            let most = stage.rows_in_flight();
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
                        Ok(Far::Open(row, replies)) => in_flight.push_back(boxed(stopping(ctx, one(ctx, &stage, row, replies)))),
                        Err(error) => failure = Some(error),
                    }
                }
            }
            // After a failure the running calls end first, so that what they buy is kept; no further call is made.
            if failure.is_some() {
                ctx.stop();
            }
            match in_flight.next().await {
                None => break,
                // The error of a row that was stopped does not say why.
                Some(Err(error)) => failure = failure.filter(|known| known.blame != Blame::Cancelled).or(Some(error)),
                Some(Ok(_)) if failure.is_some() => {}
                Some(Ok(rows)) => failure = write(ctx, &mut writer, &rows).err(),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        stage.finish()?;
        Ok(S::outputs(writer.finish()?))
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

/// How far a row gets with the replies that are cached.
enum Far<S: EachRow> {
    Whole(Vec<S::Out>),
    /// The row, and the replies of the rounds that are complete.
    Open(S::In, Vec<Reply<S>>),
}

/// How many rows are worth a thread of their own.
const ROWS_A_THREAD: usize = 64;

/// Takes every row as far as its cached replies go, on all processors: most rows of most runs are cached.
fn as_far_as_known<S: EachRow>(
    ctx: &Context,
    stage: &S,
    rows: Vec<Result<S::In, StageError>>,
) -> Vec<Result<Far<S>, StageError>> {
    let worthwhile = rows.len() / ROWS_A_THREAD;
    if worthwhile < 2 {
        return rows.into_iter().map(|row| row.and_then(|row| known(ctx, stage, row))).collect();
    }
    // Asking for the number of processors reads files, which does not matter for so many rows.
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

/// Takes a row as far as its cached replies go, without waiting.
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

/// Waits for a row. Where it fails, the other rows stop at once, and not only when its turn comes.
async fn stopping<T>(ctx: &Context, row: impl Future<Output = Result<T, StageError>>) -> Result<T, StageError> {
    let done = row.await;
    if done.is_err() {
        ctx.stop();
    }
    done
}

async fn one<S: EachRow>(ctx: &Context, stage: &S, row: S::In, mut known: Vec<Reply<S>>) -> Result<Vec<S::Out>, StageError> {
    loop {
        let asked = stage.units(&row, &known)?;
        if asked.is_empty() {
            return stage.rows(row, known);
        }
        // All calls of a round run to their end, so that what they buy is kept where one of them fails.
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
