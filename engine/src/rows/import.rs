//! Imports. Takes answers that were paid for outside of this program; gives replies to the units that a stage's rows ask for, as if they
//! had been called for.

use serde_json::Value;

use crate::contract::{
    context::Context,
    each::EachRow,
    effect::{Ask, Effect as _, unit_digest},
    error::StageError,
    import::{Adopted, Answers},
};

/// How often a row asks again at most.
const ROUNDS: usize = 8;

pub(crate) fn each<S: EachRow>(
    ctx: &Context,
    params: &S::Params,
    inputs: S::Inputs,
    answers: &Answers,
) -> Result<Adopted, StageError> {
    let (stage, driving) = S::open(ctx, params, inputs)?;
    let mut adopted = Adopted::default();
    for row in driving.rows()? {
        let row = row?;
        let value = serde_json::to_value(&row).map_err(StageError::failed)?;
        let name = |field: &str| value.get(field).and_then(Value::as_str);
        let answer = answers.find([name("id"), name("question")].into_iter().flatten());
        let Some((number, answer)) = answer else { continue };
        let mut replies = Vec::new();
        // An answer that is not whole is asked for again, with more room. The same answer replies to that too: nothing else was bought.
        for round in 0..ROUNDS {
            let asked = stage.units(&row, &replies)?;
            let (before, count) = (replies.len(), asked.len());
            for ask in asked {
                let unit = match ask {
                    Ask::Known(reply) => {
                        replies.push(reply);
                        continue;
                    }
                    Ask::Call(unit) => unit,
                };
                let Some(reply) = S::Effect::adopted(&unit, &answers.payee, answer, round > 0) else { continue };
                let reply = reply.map_err(|what| StageError::failed(format!("{}: {what}", S::name(&row))))?;
                answers.used(number);
                let bytes = serde_json::to_vec(&reply).map_err(StageError::failed)?;
                let replies_to = if round == 0 { &mut adopted.first } else { &mut adopted.again };
                replies_to.push((unit_digest::<S::Effect>(&unit)?, bytes));
                replies.push(reply);
            }
            // The next round depends on every reply of this one.
            if count == 0 || replies.len() < before + count {
                break;
            }
        }
    }
    Ok(adopted)
}
