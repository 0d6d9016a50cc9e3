//! Row by row: pure, then effects, then pure. A row → the units to ask for, round by round → its rows.

use std::marker::PhantomData;

use super::{
    artifact::{Dataset, Row},
    context::Context,
    effect::{Ask, Effect},
    error::StageError,
    kind::Kind,
};

/// A stage that works row by row. The value holds what `open` read once.
pub trait EachRow: Kind + Sized {
    /// The rows of the driving dataset.
    type In: Row;
    /// The rows that come out, in the driving dataset's order.
    type Out: Row;
    /// The effect that its units ask for.
    type Effect: Effect;

    /// How messages name a row: ``question `7` ``.
    fn name(row: &Self::In) -> String;

    /// Reads side inputs once; returns the stage and the dataset whose rows drive it.
    ///
    /// # Errors
    /// A side input cannot be read, or does not fit.
    fn open(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<(Self, Dataset<Self::In>), StageError>;

    /// What to ask next, given the replies so far; nothing when the row is done.
    ///
    /// # Errors
    /// The row or a reply does not fit.
    fn units(&self, row: &Self::In, replies: &[Reply<Self>]) -> Result<Vec<Ask<Self::Effect>>, StageError>;

    /// The rows that a row becomes.
    ///
    /// # Errors
    /// The row or a reply does not fit.
    fn rows(&self, row: Self::In, replies: Vec<Reply<Self>>) -> Result<Vec<Self::Out>, StageError>;

    /// Looks at the whole once every row is done; may warn of what the rows have in common.
    ///
    /// # Errors
    /// The rows are of no use, such as when no row has what the stage is for.
    fn finish(&self) -> Result<(), StageError> {
        Ok(())
    }

    /// Names the output port.
    fn outputs(rows: Dataset<Self::Out>) -> Self::Outputs;

    /// What a plan says of the stage besides its calls.
    ///
    /// # Errors
    /// What the notes speak of cannot be read.
    fn notes(&self) -> Result<Vec<String>, StageError> {
        Ok(Vec::new())
    }

    /// Returns how many rows may be under way at once; asked again whenever a row is done. A provider's own limits decide how many of
    /// their calls are.
    fn rows_in_flight(&self) -> usize {
        ROWS_IN_FLIGHT
    }
}

/// What the effect of `S` replies.
pub type Reply<S> = <<S as EachRow>::Effect as Effect>::Reply;

/// Enough for every provider's concurrency.
pub const ROWS_IN_FLIGHT: usize = 1024;

/// Makes a stage of an [`EachRow`].
pub struct Each<S>(PhantomData<fn() -> S>);
