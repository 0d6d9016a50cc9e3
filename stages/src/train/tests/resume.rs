//! Tests of trainings that are stopped, and resume to the bytes of one that was not.

use super::{
    Bias, Code, Dtype, Example, Model, Notes, Optimizer, Orpo, Quantization, Reference, Settings, adapted, dpo, gone_on,
    settings, sft, tiny, tiny_with_biases, trained, weights,
};

/// Asserts that a training without a stop and one with a stop on the way give the same bytes.
fn resumes_to_the_same_bytes<M: Example>(model: &Model, settings: &Settings<M>) {
    let mut whole = Notes::default();
    let expected = trained(model, settings, &mut whole).unwrap();
    let (found, [_, rest]) = gone_on(4, |notes| trained(model, settings, notes));
    // The last saved checkpoint is that after step 3: the stop came before the fourth was saved.
    assert_eq!(rest.losses, whole.losses[3..]);
    assert_eq!(weights(&found.model), weights(&expected.model));
    assert_eq!(found.summary, expected.summary);
}

#[test]
fn a_stopped_training_goes_on_to_the_same_bytes() {
    let base = tiny(6).model;
    resumes_to_the_same_bytes(&base, &sft());
    resumes_to_the_same_bytes(&adapted(base.clone(), |config| config.use_dora = true), &sft());
    resumes_to_the_same_bytes(&adapted(base.clone(), |_| ()), &dpo(|_| ()));
    let biased = adapted(tiny_with_biases(6), |config| config.bias = Bias::All);
    resumes_to_the_same_bytes(&biased, &dpo(|method| method.reference = Reference::BaseModel));
    let synced = dpo(|method| (method.sync_ref_model, method.ref_model_sync_steps) = (true, 2));
    resumes_to_the_same_bytes(&base, &synced);
    resumes_to_the_same_bytes(&base, &settings::<Orpo>());
}

#[test]
fn every_optimizer_goes_on_to_the_same_bytes() {
    let mut quantised = tiny(6).model;
    quantised.quantise(false);
    for optimizer in Optimizer::all() {
        let mut settings = sft();
        settings.training.optimizer = optimizer;
        resumes_to_the_same_bytes(&tiny(6).model, &settings);
        resumes_to_the_same_bytes(&adapted(tiny(6).model, |_| ()), &settings);
        let (code, compute_dtype, adapter_dtype) = (Code::Nf4, Dtype::Float32, Dtype::Bfloat16);
        settings.training.quantization = Some(Quantization { code, double_quant: false, compute_dtype, adapter_dtype });
        resumes_to_the_same_bytes(&adapted(quantised.clone(), |_| ()), &settings);
    }
}
