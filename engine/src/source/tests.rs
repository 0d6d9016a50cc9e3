//! Tests of places: every path of the data has one, and no text makes the reader panic or point between two characters.
#![expect(clippy::disallowed_methods, reason = "how much is tried is asked on the command line")]

use serde_yaml::Value;

use super::{Path, Source};
use crate::diagnostic::{Format, Mistake, render};
use crate::{
    manifest::{self, Set},
    text::Span,
};

const SAMPLES: [&str; 5] = [
    "version: 1\nname: quickstart\nstages:\n  questions: { uses: benchmark, with: { name: arithmetic, count: 3000, seed: 7 } }\n  \
     answers:\n    uses: answer\n    in: { questions: questions }\n    with:\n      models:\n        - gemini/flash # cheap\n        - \"gemini/pro\"\n",
    "version: 1\nparams: { answers: data/answers.jsonl, limit: 10 }\nproviders: { replay: { file: \"${params.answers}\" } }\nstages:\n  \
     a:\n    uses: benchmark\n    with: &w\n      limit: ${params.limit}\n      note: |\n        žluťoučký kůň\n          pěl\n\n      \
     fold: >-\n        one\n        two\n  b: { uses: benchmark, with: { <<: *w, limit: 3 } }\n",
    "version: 1\nx: &x { a: 1, b: [1, 2.5, ~, true], 日本: 'ú''x' }\ny: &y\n  <<: *x\n  c: &c\n  - 1\n  - d: \"q\\n\\u0041\"\nz:\n  <<: [*y, {e: 1e3}]\n  \
     a: *c\nempty:\nplain: several\n  lines\n\nstages: { s: { uses: t } }\nv: &v { k: *c, n: &n 5 }\nu: *v\n",
    "{version: 1, \"stages\": {'s': {uses: command, with: {run: 'sort \"$raw\" > \"$sorted\"', out: {}, env: []}}}}\n",
    "version: 1\r\nstages:\r\n  s:\r\n    uses: á\r\n    with:\r\n      text: |+\r\n        a\r\n        b\r\n\r\n      n: 0x1F\r\n",
];

/// Calls `visit` with every path and value below `value`.
fn walk(value: &Value, path: &Path, visit: &mut impl FnMut(&Path, &Value)) {
    visit(path, value);
    match value {
        Value::Sequence(items) => items.iter().enumerate().for_each(|(index, item)| walk(item, &path.index(index), visit)),
        Value::Mapping(entries) => {
            entries.iter().for_each(|(key, item)| {
                walk(item, &path.key(key.as_str().expect("keys are text")), visit);
            });
        }
        _ => {}
    }
}

fn slice(source: &Source, span: Span) -> &str {
    source.file.text.get(span.start..span.end).expect("a span lies on character boundaries")
}

#[test]
fn every_path_has_a_place_that_reads_back() {
    let mut scalars = 0;
    for sample in SAMPLES {
        let source = Source::parse("sample.yaml", sample).expect(sample);
        walk(source.data(), &Path::root(), &mut |path, value| {
            let place = source.value(path).unwrap_or_else(|| panic!("{path} has no place in {sample}"));
            let text = slice(&source, place.written);
            let parent = path.parent().and_then(|parent| source.value(&parent)).map(|parent| parent.written);
            assert!(place.used.is_some() || parent.is_none_or(|parent| parent.start <= place.written.start), "{path}");
            match value {
                Value::Sequence(_) | Value::Mapping(_) => {
                    assert!(!text.ends_with(char::is_whitespace), "{path}: {text:?}");
                }
                Value::String(value) if value.contains('\n') && !text.starts_with('"') => {
                    let lines = |text: &str| {
                        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
                    };
                    assert_eq!(lines(text), lines(value), "{path}");
                    scalars += 1;
                }
                value => {
                    assert_eq!(serde_yaml::from_str::<Value>(text).ok().as_ref(), Some(value), "{path}: {text:?}");
                    scalars += 1;
                }
            }
            if let Some(super::Segment::Key(key)) = path.last() {
                let written = slice(&source, source.key(path).expect("an entry has a key"));
                assert_eq!(serde_yaml::from_str::<String>(written).ok().as_ref(), Some(key), "{path}");
            }
        });
    }
    assert!(scalars > 50, "{scalars}");
}

#[test]
fn places_go_through_aliases_and_merges() {
    let source = Source::parse("sample.yaml", SAMPLES[2]).expect("valid");
    let check = |path: &str, written: &str, used: Option<&str>| {
        let place = source.value(&path.parse().expect("a path")).expect(path);
        assert_eq!((slice(&source, place.written), place.used.map(|span| slice(&source, span))), (written, used), "{path}");
    };
    check("z.b[1]", "2.5", Some("*y"));
    check("z.a[0]", "1", Some("*c"));
    check("z.e", "1e3", None);
    check("y.日本", "'ú''x'", Some("*x"));
    check("u.k[0]", "1", Some("*v"));
    check("v.k[0]", "1", Some("*c"));
    check("u.n", "5", Some("*v"));
    check("x.日本", "'ú''x'", None);
    check("plain", "several\n  lines", None);
    check("y.c", "1\n  - d: \"q\\n\\u0041\"", None);
    assert_eq!(source.value(&Path::of(&["z", "<<", "none"])), None);
    assert_eq!(source.data()["z"]["a"][0], Value::from(1));
    assert_eq!(source.data()["z"].get("<<"), None);
}

#[test]
fn few_lines_cannot_stand_for_billions() {
    let check = |text: &str, code: &str| {
        let mistakes = Source::parse("x", text).expect_err(code);
        assert_eq!(mistakes.iter().map(|mistake| mistake.code).collect::<Vec<_>>(), [code]);
    };
    let laughs: Vec<String> = (1..30)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]
",
                vec![format!("*a{}", n - 1); 9].join(", ")
            )
        })
        .collect();
    check(&format!("a0: &a0 x\n{}", laughs.concat()), "too-large");
    let chain: Vec<String> = (1..100).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    check(&format!("a0: &a0 x\n{}", chain.concat()), "too-deep");
    check(&"[".repeat(100), "too-deep");
    check("a: &a [*a]", "recursive-alias");
    check("a: &a { <<: *a }", "recursive-alias");
}

/// A small generator of random numbers, the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }
}

const PIECES: [&str; 36] = [
    "\t",
    "\n",
    "\r\n",
    " ",
    "  ",
    ": ",
    "- ",
    "*w",
    "*x",
    "&x ",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "!!str ",
    "!t ",
    "# ",
    "---\n",
    "...\n",
    "? ",
    "é日",
    "\u{feff}",
    "${params.",
    "}",
    "%",
    ".nan",
    "~: 1\n",
    "\u{a0}",
    "\u{2028}",
    "0x1F: ",
];

fn mutated(numbers: &mut Numbers) -> String {
    let mut text: Vec<char> = SAMPLES[numbers.below(SAMPLES.len())].chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(text.len() + 1);
        let end = (at + numbers.below(12)).min(text.len());
        match numbers.below(4) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, PIECES[numbers.below(PIECES.len())].chars())),
            2 => drop(text.splice(at..end, PIECES[numbers.below(PIECES.len())].chars())),
            _ => {
                let copy = text[at..end].to_vec();
                let to = numbers.below(text.len() + 1);
                drop(text.splice(to..to, copy));
            }
        }
    }
    text.into_iter().collect()
}

fn check_spans(mistakes: &[Mistake]) {
    for mistake in mistakes {
        let source = mistake.source.as_ref().expect("a file's mistakes know the file");
        mistake.labels.iter().for_each(|label| {
            assert!(source.text.get(label.span.start..label.span.end).is_some(), "{label:?}");
        });
    }
    for format in [Format::Text { color: false, width: 60, unicode: true }, Format::Json, Format::Github] {
        let report = render(mistakes, format);
        assert!(!report.contains("Failed to read"), "{report}");
        assert_eq!(report.is_empty(), mistakes.is_empty() && format != Format::Json);
    }
}

#[test]
fn no_text_makes_it_panic() {
    let rounds = std::env::var("FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1000);
    let mut numbers = Numbers(7);
    let sets: Vec<Set> = ["stages.s.with.a[0].b=1", "stages.a.with.limit=[1", "name=x", "params.answers=ž"]
        .map(|set| set.parse().expect("a set"))
        .into();
    let (mut read, mut whole) = (0, 0);
    for _ in 0..rounds {
        let text = mutated(&mut numbers);
        let source = match Source::parse("fuzz.yaml", &text) {
            Ok(source) => source,
            Err(mistakes) => {
                assert!(!mistakes.is_empty(), "{text}");
                check_spans(&mistakes);
                continue;
            }
        };
        read += 1;
        walk(source.data(), &Path::root(), &mut |path, _| {
            let place = source.value(path).unwrap_or_else(|| panic!("{path} has no place in {text:?}"));
            slice(&source, place.written);
        });
        for sets in [&sets[..], &[]] {
            match manifest::parse(source.clone(), "", sets) {
                Ok(manifest) => {
                    whole += 1;
                    check_spans(&manifest.warnings);
                    let stages = manifest.stages.iter().flat_map(|stage| [stage.uses_path(), stage.with_path()]);
                    check_spans(&stages.map(|path| manifest.mistake_at_value(&path, "code", "message")).collect::<Vec<_>>());
                }
                Err(mistakes) => check_spans(&mistakes),
            }
        }
    }
    assert!(read * 10 > rounds && whole * 20 > rounds, "{read} read, {whole} whole of {rounds}");
}
