//! Answers that were come by elsewhere → replies to the units that a stage's rows ask for first, as if they had been called for.

use std::collections::BTreeMap;

use cache::Digest;
use serde_json::Value;

use super::{
    context::Context,
    each::{Ask, EachRow, Effect as _, unit_digest},
    error::StageError,
};

/// Answers of one payee, by the id or the text of what was asked.
pub struct Answers {
    /// Who gave them, as the manifest names it.
    pub payee: String,
    /// The answers.
    pub by_name: BTreeMap<String, Value>,
}

/// The replies that answers are to a stage's units.
pub(crate) type Adopted = Vec<(Digest, Vec<u8>)>;

pub(crate) fn each<S: EachRow>(
    ctx: &Context,
    params: &S::Params,
    inputs: S::Inputs,
    answers: &Answers,
) -> Result<Adopted, StageError> {
    let (stage, driving) = S::open(ctx, params, inputs)?;
    let mut adopted = Vec::new();
    for row in driving.rows()? {
        let row = row?;
        let value = serde_json::to_value(&row).map_err(StageError::failed)?;
        let name = |field: &str| value.get(field).and_then(Value::as_str);
        let answer = [name("id"), name("question")].into_iter().flatten().find_map(|name| answers.by_name.get(name));
        let Some(answer) = answer else { continue };
        for ask in stage.units(&row, &[])? {
            if let Ask::Call(unit) = ask
                && let Some(reply) = S::Effect::adopted(&unit, &answers.payee, answer)
            {
                let reply = reply.map_err(|what| StageError::failed(format!("{}: {what}", S::name(&row))))?;
                let bytes = serde_json::to_vec(&reply).map_err(StageError::failed)?;
                adopted.push((unit_digest::<S::Effect>(&unit)?, bytes));
            }
        }
    }
    Ok(adopted)
}
