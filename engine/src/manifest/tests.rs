//! Tests of manifests: what is read of them, and where their mistakes point.

use serde::Deserialize;

use super::{Manifest, Set, parse};
use crate::diagnostic::{Format, Mistake, render};
use crate::source::{Path, Source};

const RECORDED: &str = "\
version: 1
params: { answers: data/answers.jsonl, limit: 10 }
providers: { replay: { file: \"${params.answers}\" } }
stages:
  questions:
    uses: benchmark
    in: { raw: \"${params.answers}\" }
    with: { limit: \"${params.limit}\", path: other.jsonl }
  answers: { uses: answer }
";

fn read(text: &str, sets: &[&str]) -> Result<Manifest, Vec<Mistake>> {
    let sets: Vec<Set> = sets.iter().map(|set| set.parse().expect("a set")).collect();
    let manifest = parse(Source::parse("x/recorded.yaml", text)?, "x", &sets)?;
    if manifest.mistakes.is_empty() { Ok(manifest) } else { Err(manifest.mistakes) }
}

#[track_caller]
fn manifest(text: &str, sets: &[&str]) -> Manifest {
    read(text, sets).unwrap_or_else(|mistakes| panic!("{}", rendered(&mistakes)))
}

fn with(manifest: &Manifest, stage: usize) -> &serde_yaml::Value {
    manifest.stages[stage].with.as_ref().expect("a mapping")
}

fn rendered(mistakes: &[Mistake]) -> String {
    render(mistakes, Format::Text { color: false, width: 100, unicode: false })
}

/// Compares mistakes as `code @ text under the primary label: message | help | other labels`.
#[track_caller]
fn check(mistakes: &[Mistake], expect: &[&str]) {
    let line = |mistake: &Mistake| {
        let source = mistake.source.as_ref().expect("a source");
        let label = |label: &crate::diagnostic::Label| {
            let text = &source.text[label.span.start..label.span.end];
            if label.text.is_empty() { text.to_owned() } else { format!("{text} ({})", label.text) }
        };
        let labels: Vec<String> = mistake.labels.iter().map(label).collect();
        format!("{} @ {}: {} | {}", mistake.code, labels.join(" + "), mistake.message, mistake.help.as_deref().unwrap_or("-"))
    };
    let found: Vec<String> = mistakes.iter().map(line).collect();
    assert_eq!(found, expect, "{}", rendered(mistakes));
}

#[test]
fn params_keep_their_type_and_the_name_is_the_stem() {
    let manifest = manifest(RECORDED, &[]);
    assert_eq!(manifest.name, "recorded");
    let names: Vec<&str> = manifest.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["questions", "answers"]);
    assert_eq!(with(&manifest, 0)["limit"], serde_yaml::Value::from(10));
    assert_eq!(manifest.stages[0].inputs.as_ref().unwrap()["raw"], "data/answers.jsonl");
    assert_eq!(manifest.sections["providers"]["replay"]["file"], serde_yaml::Value::from("data/answers.jsonl"));
    assert_eq!(manifest.sections.len(), 1);
    assert!(with(&manifest, 1).is_mapping() && manifest.warnings.is_empty());
}

#[test]
fn set_values_are_typed() {
    let sets = [
        "params.answers=here.jsonl",
        "stages.answers.with.models={ medium: a/b }",
        "stages.answers.with.models.large=c/d",
        "stages.questions.with.limit=3",
    ];
    let manifest = manifest(RECORDED, &sets);
    assert_eq!(with(&manifest, 1)["models"]["large"], serde_yaml::Value::from("c/d"));
    assert_eq!(with(&manifest, 0)["limit"], serde_yaml::Value::from(3));
    let set = |path: &Path, value: &serde_yaml::Value| manifest.set_texts(path, value).into_iter().collect::<Vec<_>>();
    assert_eq!(set(&Path::of(&["providers"]), &manifest.sections["providers"]), ["here.jsonl"]);
    assert_eq!(set(&manifest.stages[1].with_path(), with(&manifest, 1)), ["a/b", "c/d"]);
    assert_eq!(set(&manifest.stages[0].with_path(), with(&manifest, 0)), [""; 0]);
    // `--set` is applied first, so that nothing refers to the param any more.
    check(
        &manifest.warnings,
        &["unused-param @ limit: nothing uses `params.limit` | write `${params.limit}` where its value belongs, or remove it"],
    );
    let missing = manifest.mistake_at_value(&Path::of(&["providers", "replay", "file"]), "missing-file", "gone");
    check(
        &[missing],
        &[
            "missing-file @ \"${params.answers}\" + data/answers.jsonl (`--set params.answers=here.jsonl` gives this value): gone | -",
        ],
    );
}

#[test]
fn sets_name_only_what_exists() {
    let sets = [
        "stages.anwers.with.x=1",
        "params.answer=x",
        "stages.answers.use=x",
        "providers.replay[0]=1",
        "a..b=1",
        "name=",
        "stages.answers.with.a=[1",
    ];
    check(
        &read(RECORDED, &sets).expect_err("mistakes"),
        &[
            "unknown-path @ stages: `--set stages.anwers.with.x=1` matches nothing in the manifest: there is no `anwers` in `stages` | did you mean `answers`?",
            "unknown-path @ params: `--set params.answer=x` matches nothing in the manifest: there is no `answer` in `params` | did you mean `answers`?",
            "unknown-path @ answers: `--set stages.answers.use=x` matches nothing in the manifest: there is no `use` in `stages.answers` | did you mean `uses`?",
            "unknown-path @ replay: `--set providers.replay[0]=1` matches nothing in the manifest: the value is not a list in `providers.replay` | -",
            "unknown-path @ : `--set a..b=1`: `a..b` is not a path: write `a.b[0]`, or `a[\"b.c\"]` for a key with a dot | -",
            "unknown-path @ version: 1: `--set name=` matches nothing in the manifest: there is no `name` | there are `version`, `params`, `providers` and `stages`",
            "syntax @ 1 + [ (opened here): this `[ … ]` is not closed, or a comma is missing | separate items by commas and end with `]`",
        ],
    );
    let version = read(RECORDED, &["version=2"]).expect_err("a version");
    check(
        &version,
        &[
            "unknown-version @ 1 (`--set version=2` gives this value): unsupported manifest version 2 | this program reads version 1; a newer program may read this file",
        ],
    );
}

#[test]
fn a_missing_stages_finds_its_misspelling() {
    check(
        &read("version: 1\nstagse: {}\n", &[]).expect_err("mistakes"),
        &["missing-field @ stagse: the manifest has no `stages` | did you mean `stages`?"],
    );
    check(
        &read("- 1\n", &[]).expect_err("a list"),
        &["wrong-type @ 1: a manifest is a mapping with `version` and `stages` | start with `version: 1`"],
    );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only how it is refused matters")]
struct Params {
    models: Vec<String>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    judge: Option<Judge>,
    #[serde(default)]
    deep: Option<Deep>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only how it is refused matters")]
struct Deep {
    rate: f64,
    on: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Judge {
    Exact,
    Numeric,
}

#[track_caller]
fn check_fields(with: &str, sets: &[&str], expect: &str) {
    let text = format!(
        "version: 1\nparams: {{ many: lots }}\nshared: &shared {{ limit: -1, note: \"${{params.many}}\" }}\nstages:\n  s:\n    uses: t\n    with: {with}\n"
    );
    let manifest = manifest(&text, sets);
    let stage = &manifest.stages[0];
    let error = serde_path_to_error::deserialize::<_, Params>(stage.with.clone().unwrap()).expect_err("a mistake");
    check(&[manifest.field_mistake(&stage.with_path(), &error)], &[expect]);
}

#[test]
fn typed_errors_of_a_file_of_its_own_point_into_it() {
    let source = Source::parse("x/deep.yaml", "rate: 1\n").expect("valid");
    let error = serde_path_to_error::deserialize::<_, Deep>(source.data().clone()).expect_err("a mistake");
    check(
        &[super::field_mistake(&source, &error)],
        &["missing-field @ rate: 1: the field `on` is missing in the file | add `on: …` to the file"],
    );
}

#[test]
fn typed_errors_point_at_their_field() {
    check_fields("{ models: [], limt: 3 }", &[], "unknown-field @ limt: there is no field `limt` here | did you mean `limit`?");
    check_fields(
        "{ limit: 3 }",
        &[],
        "missing-field @ s: the field `models` is missing in `stages.s.with` | add `models: …` to `stages.s.with`",
    );
    check_fields(
        "{ models: [], deep: { on: true } }",
        &[],
        "missing-field @ deep: the field `rate` is missing in `stages.s.with.deep` | add `rate: …` to `stages.s.with.deep`",
    );
    check_fields("{ models: [a, [b]] }", &[], "wrong-type @ [b]: item 1 must be text, not a list | -");
    check_fields("{ models: [], judge: true }", &[], "wrong-type @ true: `judge` must be one of its values, not `true` | -");
    check_fields(
        "{ models: [], limit: many }",
        &[],
        "wrong-type @ many: `limit` must be a whole number of 0 or more, not the text `many` | -",
    );
    check_fields(
        "{ models: [], deep: { rate: fast, on: true } }",
        &[],
        "wrong-type @ fast: `rate` must be a number, not the text `fast` | -",
    );
    check_fields(
        "{ models: [], deep: { rate: 1, on: } }",
        &[],
        "wrong-type @ on: `on` must be `true` or `false`, not nothing | -",
    );
    check_fields(
        "{ models: [], judge: numerc }",
        &[],
        "unknown-value @ numerc: `judge` cannot be `numerc` | did you mean `numeric`?",
    );
    check_fields(
        "{ models: [], limit: \"${params.many}\" }",
        &[],
        "wrong-type @ \"${params.many}\" + lots (`params.many` is defined here): `limit` must be a whole number of 0 or more, not the text `lots` | -",
    );
    check_fields(
        "{ <<: *shared, models: [] }",
        &[],
        "wrong-type @ -1 + *shared (used here): `limit` must be a whole number of 0 or more, not `-1` | -",
    );
    check_fields(
        "{ models: [] }",
        &["stages.s.with.limt=3"],
        "unknown-field @ with (from `--set stages.s.with.limt=3`): there is no field `limt` here | did you mean `limit`?",
    );
    check_fields(
        "{ models: [], limit: 2 }",
        &["stages.s.with.limit=x"],
        "wrong-type @ 2 (`--set stages.s.with.limit=x` gives this value): `limit` must be a whole number of 0 or more, not the text `x` | -",
    );
}
