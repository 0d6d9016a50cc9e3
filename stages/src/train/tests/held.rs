//! What is learned on weights in 16 bits is what is learned on the same values in f32.

use super::*;
use crate::models::Half;
use crate::models::tests::held::in_16_bits_and_32;

#[test]
fn a_training_on_16_bits_is_one_on_their_values() {
    let [half, full] = in_16_bits_and_32(&tiny(5).model, Half::Bf16);
    let on = |base: &Model| {
        [
            ("full", base.clone()),
            ("lora", adapted(base.clone(), |config| config.target_modules = Some(Modules::Pattern("all-linear".into())))),
            ("dora", adapted(base.clone(), |config| config.use_dora = true)),
            ("norms", adapted(base.clone(), |config| config.modules_to_save = Some(vec!["norm".into(), "embed_tokens".into()]))),
        ]
    };
    for ((way, half), (_, full)) in on(&half).into_iter().zip(on(&full)) {
        for (mut settings, precision) in
            [sft(), dpo(|_| ())].into_iter().flat_map(|settings| [Precision::F32, Precision::Bf16].map(|p| (settings.clone(), p)))
        {
            settings.training.precision = precision;
            settings.training.adapter = Some(settings::Adapter { lora_dropout: 0.25, ..settings::Adapter::default() });
            for gradient_checkpointing in [false, true] {
                settings.training.gradient_checkpointing = gradient_checkpointing;
                let (mut notes, mut expected) = (Notes::default(), Notes::default());
                let (found, full) =
                    (trained(&half, &settings, &mut notes).unwrap(), trained(&full, &settings, &mut expected).unwrap());
                let case = format!("{way}, {precision:?}, {gradient_checkpointing}, {:?}", settings.method);
                assert_eq!(notes.losses, expected.losses, "{case}");
                assert!(weights(&found.model) == weights(&full.model), "{case}");
            }
        }
    }
}
