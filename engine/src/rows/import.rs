//! Imports. Takes answers that were paid for outside of this program; gives replies to the units that a stage's rows ask for first, as if
//! they had been called for.

use serde_json::Value;

use crate::contract::{
    context::Context,
    each::EachRow,
    effect::{Ask, Effect as _, unit_digest},
    error::StageError,
    import::{Adopted, Answers},
};

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
        let answer = answers.find([name("id"), name("question")].into_iter().flatten());
        let Some((number, answer)) = answer else { continue };
        for ask in stage.units(&row, &[])? {
            if let Ask::Call(unit) = ask
                && let Some(reply) = S::Effect::adopted(&unit, &answers.payee, answer)
            {
                let reply = reply.map_err(|what| StageError::failed(format!("{}: {what}", S::name(&row))))?;
                let bytes = serde_json::to_vec(&reply).map_err(StageError::failed)?;
                answers.used(number);
                adopted.push((unit_digest::<S::Effect>(&unit)?, bytes));
            }
        }
    }
    Ok(adopted)
}
