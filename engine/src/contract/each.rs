//! A kind of stage that works row by row. Takes a row; gives the units to ask for, round by round, and from the replies its rows. Only
//! the calls have effects; all else is pure.

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

    /// Returns how messages name a row: ``question `7` ``.
    fn name(row: &Self::In) -> String;

    /// Reads side inputs once; returns the stage and the dataset whose rows drive it.
    ///
    /// # Errors
    /// A side input cannot be read, or does not fit.
    fn open(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<(Self, Dataset<Self::In>), StageError>;

    /// Returns what to ask next, given the replies so far; nothing when the row is done.
    ///
    /// # Errors
    /// The row or a reply does not fit.
    fn units(&self, row: &Self::In, replies: &[Reply<Self>]) -> Result<Vec<Ask<Self::Effect>>, StageError>;

    /// Returns the rows that a row becomes.
    ///
    /// # Errors
    /// The row or a reply does not fit.
    fn rows(&self, row: Self::In, replies: Vec<Reply<Self>>) -> Result<Vec<Self::Out>, StageError>;

    /// Checks all rows together once every row is done, and may warn of what they have in common.
    ///
    /// # Errors
    /// The rows are of no use, such as when no row has what the stage is for.
    fn finish(&self) -> Result<(), StageError> {
        Ok(())
    }

    /// Returns the outputs, with the rows at their port.
    fn outputs(rows: Dataset<Self::Out>) -> Self::Outputs;

    /// Returns what a plan says about the stage besides its calls.
    ///
    /// # Errors
    /// What the notes are about cannot be read.
    fn notes(&self) -> Result<Vec<String>, StageError> {
        Ok(Vec::new())
    }

    /// Returns how many rows may be worked on at once; asked again whenever a row is done. How many calls run at once, a provider's own
    /// limits decide.
    fn rows_in_flight(&self) -> usize {
        ROWS_IN_FLIGHT
    }
}

/// The reply of the effect of `S`.
pub type Reply<S> = <<S as EachRow>::Effect as Effect>::Reply;

/// How many rows are worked on at once unless a stage says otherwise: enough for every provider's concurrency.
pub const ROWS_IN_FLIGHT: usize = 1024;

/// Turns an [`EachRow`] into a stage.
pub struct Each<S>(PhantomData<fn() -> S>);
