//! Tests of reports for people and for programs; `tests/program` tests the reports of whole manifests.

use super::{Format, Mistake, did_you_mean, render, suggest};
use crate::{
    source::Source,
    text::{Span, Text},
};

const TEXT: Format = Format::Text { color: false, width: 100, unicode: true };

fn two() -> Vec<Mistake> {
    let source = Text::new("a,b.yaml", "žluť: 1\nb: 2\n");
    let place = |start, end| Span { start, end };
    vec![
        Mistake::at(&source, place(10, 11), "second", "50% of `b`").help("line\nline").also_here(place(0, 6), "and here"),
        Mistake::at(&source, place(8, 9), "first", "a warning").warning(),
        Mistake::at(&source, place(10, 11), "second", "50% of `b`"),
    ]
}

#[test]
fn json_has_lines_columns_and_offsets() {
    let source = Text::new("a.yaml", "x: 1\nžluť: 2\n");
    let start = "x: 1\nžluť: ".len();
    let mistake = Mistake::at(&source, Span { start, end: start + 1 }, "code", "message").label("here");
    let expected = serde_json::json!({ "version": 1, "mistakes": [{
        "code": "code", "severity": "error", "message": "message", "help": null, "file": "a.yaml",
        "labels": [{ "line": 2, "column": 7, "offset": 13, "length": 1, "primary": true, "text": "here" }],
    }] });
    let found: serde_json::Value = serde_json::from_str(&render(&[mistake], Format::Json)).expect("JSON");
    assert_eq!(found, expected);
}

#[test]
fn github_escapes_what_its_commands_reserve() {
    let expected = "::warning file=a%2Cb.yaml,line=1,col=7,title=first::a warning\n\
                    ::error file=a%2Cb.yaml,line=2,col=1,endLine=2,endColumn=2,title=second::50%25 of `b`%0Aline%0Aline\n";
    let mut mistakes = two();
    mistakes[1].labels[0].span = Span { start: 8, end: 11 };
    assert_eq!(render(&mistakes, Format::Github), expected);
}

#[test]
fn text_sorts_by_place_and_counts_once() {
    let report = render(&two(), TEXT);
    assert!(report.ends_with("\n1 mistake and 1 warning in `a,b.yaml`\n"), "{report}");
    assert!(report.find("a warning") < report.find("50%"), "{report}");
    assert_eq!(report.matches("50%").count(), 1, "{report}");
    assert_eq!(render(&[], TEXT), "");
}

#[test]
fn text_never_drives_the_terminal() {
    let mistake = Mistake::new("code", "name \u{1b}[31m").help("\u{7}").help_if(None);
    let report = render(&[mistake], TEXT);
    assert!(report.contains("\\u{1b}[31m") && !report.contains(['\u{1b}', '\u{7}']), "{report}");
    let source = Text::new("a.yaml", "a: \u{202e}b # \u{200f}\n");
    let at = Mistake::at(&source, Span { start: 3, end: 7 }, "code", "here");
    let report = render(&[at], TEXT);
    assert!(report.contains("a: \u{fffd}b # \u{fffd}") && !report.contains(['\u{202e}', '\u{200f}']), "{report}");
    let colored = render(&two(), Format::Text { color: true, width: 1, unicode: false });
    assert!(colored.contains('\u{1b}') && !colored.contains("]8;;"), "{colored:?}");
}

#[test]
fn suggestions_are_near_or_none() {
    let names = ["benchmark", "answer", "judge"];
    assert_eq!(suggest("Benchmrak", names).as_deref(), Some("benchmark"));
    assert_eq!(suggest("xyz", names), None);
    assert_eq!(did_you_mean("jugde", names).as_deref(), Some("did you mean `judge`?"));
}

#[test]
fn files_that_are_no_text_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |bytes: &[u8], code: &str, part: &str| {
        let path = folder.path().join("m.yaml");
        std::fs::write(&path, bytes).expect("writable");
        let mistakes = Source::read(&path).expect_err(part);
        assert_eq!(mistakes[0].code, code);
        assert!(mistakes[0].message.contains(part), "{}", mistakes[0].message);
    };
    check(b"a: 1\nb: \xff\n", "binary", "line 2, column 4 has the byte 0xff");
    check("a: ž\u{1b}\n".as_bytes(), "binary", "line 1, column 5 has the control character U+001B");
    check(&vec![b' '; 1024 * 1024 + 1], "too-large", "larger than the limit of 1048576 bytes");
    check(b"", "empty", "is empty");
    check(b"---\n# nothing\n", "empty", "is empty");
    assert_eq!(Source::read(folder.path()).expect_err("a folder")[0].code, "not-a-file");
    assert_eq!(Source::read(&folder.path().join("none")).expect_err("nothing")[0].code, "missing-file");
    let source = Source::parse("bom", "\u{feff}a: 1\n").expect("a mark is no mistake");
    assert_eq!(&*source.file.text, "a: 1\n");
}
