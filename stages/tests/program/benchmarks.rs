//! Benchmarks in the form in which they are published, and files with any columns: rows of our own in each format.

use std::sync::Arc;

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::{Value, json};

use crate::place::Place;

/// Writes a manifest with one stage, `questions`, beside the test's other files.
fn manifest(place: &Place, with: &Value) -> String {
    let path = place.path("manifest.yaml");
    let manifest = json!({ "version": 1, "stages": { "questions": { "uses": "benchmark", "with": with } } });
    std::fs::write(&path, manifest.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs a benchmark; returns its questions and what was said.
pub(crate) fn questions(place: &Place, with: &Value) -> (Vec<Value>, String) {
    let manifest = manifest(place, with);
    let output = place.call(&["run", &manifest]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{with}: {said}");
    (place.rows(&[&manifest, "questions"]), said)
}

/// Runs a benchmark that must fail; returns what was said.
pub(crate) fn failure(place: &Place, with: &Value, code: i32) -> String {
    let output = place.call(&["run", &manifest(place, with)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{with}: {said}");
    said
}

fn write(place: &Place, name: &str, text: impl AsRef<[u8]>) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What the test looks at: the other fields are the same for all.
fn told(question: &Value) -> Value {
    let fields = ["id", "question", "gold", "choices", "wrong", "meta"];
    fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), question.get(field)?.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Rows as `MMLU-Pro` has them in Parquet.
pub(crate) fn parquet(answers: [&str; 2], compression: Compression) -> Vec<u8> {
    let schema = "message rows {
        required int64 question_id; required binary question (STRING);
        required group options (LIST) { repeated group list { required binary element (STRING); } }
        required binary answer (STRING); required int64 answer_index; optional binary category (STRING); }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(parse_message_type(schema).unwrap()), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match number {
            0 => drop(column.typed::<Int64Type>().write_batch(&[7, 9], None, None).unwrap()),
            1 => drop(
                column.typed::<ByteArrayType>().write_batch(&texts(&["Which is even?", "Which is odd?"]), None, None).unwrap(),
            ),
            2 => drop(
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&texts(&["1", "2", "3", "4", "5"]), Some(&[1; 5]), Some(&[0, 1, 0, 1, 1]))
                    .unwrap(),
            ),
            3 => drop(column.typed::<ByteArrayType>().write_batch(&texts(&answers), None, None).unwrap()),
            4 => drop(column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap()),
            _ => drop(column.typed::<ByteArrayType>().write_batch(&texts(&["maths"]), Some(&[1, 0]), None).unwrap()),
        }
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn simpleqa_is_read_from_csv_and_from_json_lines() {
    let place = Place::new();
    write(&place, "a.csv", "metadata,problem,answer\n\"{'topic': 'Art', 'urls': ['a']}\",\"Who, then?\",Ann\n");
    write(
        &place,
        "a.jsonl",
        "{\"metadata\": {\"topic\": \"Art\", \"urls\": [\"a\"]}, \"problem\": \"Who, then?\", \"answer\": \"Ann\"}\n",
    );
    let (from_csv, said) = questions(&place, &json!({ "name": "simpleqa", "path": "a.csv" }));
    assert_eq!(
        told(&from_csv[0]),
        json!({ "id": "simpleqa-0", "question": "Who, then?", "gold": ["Ann"], "meta": { "topic": "Art", "urls": ["a"] } })
    );
    assert!(said.contains("`a.csv` has 1 rows") && said.contains("4326 rows in https://"), "{said}");
    let (from_json, _) = questions(&place, &json!({ "name": "simpleqa", "path": "a.jsonl" }));
    assert_eq!(from_csv, from_json);
}

#[test]
fn mmlu_is_read_from_a_folder_or_a_file() {
    let place = Place::new();
    write(&place, "test/virology_test.csv", "\"Which, if any?\",one,two,three,four,C\n");
    write(&place, "test/anatomy_test.csv", "How many?,1,\"2\n3\",4,5,A\nHow long?,1,2,3,4,D\n");
    write(&place, "test/notes.csv", "anything\n");
    let (rows, said) = questions(&place, &json!({ "name": "mmlu", "path": "test" }));
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mmlu-anatomy_test-0", "mmlu-anatomy_test-1", "mmlu-virology_test-0"]);
    assert_eq!(
        told(&rows[0]),
        json!({
            "id": "mmlu-anatomy_test-0", "question": "How many?", "gold": ["A"], "choices": ["1", "2\n3", "4", "5"],
            "meta": { "subject": "anatomy" },
        })
    );
    assert!(said.contains("`test/anatomy_test.csv` has 2 rows, published are 135"), "{said}");
    assert!(said.contains("the folder has 2 of the 57 published files"), "{said}");
    let (alone, _) = questions(&place, &json!({ "name": "mmlu", "path": "test/anatomy_test.csv" }));
    assert_eq!(alone, rows[..2]);
    // The subject is in the rows, so the file's name is in the key.
    std::fs::copy(place.path("test/anatomy_test.csv"), place.path("test/marketing_test.csv")).unwrap();
    let (other, _) = questions(&place, &json!({ "name": "mmlu", "path": "test/marketing_test.csv" }));
    assert_eq!(other[0]["meta"], json!({ "subject": "marketing" }));
    std::fs::copy(place.path("test/anatomy_test.csv"), place.path("mine.csv")).unwrap();
    let (mine, _) = questions(&place, &json!({ "name": "mmlu", "path": "mine.csv" }));
    assert_eq!((mine[1]["id"].as_str(), &mine[1]["meta"]), (Some("mmlu-1"), &json!({})));

    let said = failure(&place, &json!({ "name": "gsm8k", "path": "test" }), 2);
    assert!(said.contains("benchmark `gsm8k` reads a file, and this is a folder"), "{said}");
    std::fs::create_dir(place.path("empty")).unwrap();
    let said = failure(&place, &json!({ "name": "mmlu", "path": "empty" }), 2);
    assert!(said.contains("`empty` is a folder"), "{said}");
}

#[test]
fn mmlu_pro_is_the_same_in_json_lines_in_an_array_and_in_parquet() {
    let place = Place::new();
    let rows = [
        json!({ "question_id": 7, "question": "Which is even?", "options": ["1", "2"], "answer": "B", "answer_index": 1, "category": "maths" }),
        json!({ "question_id": 9, "question": "Which is odd?", "options": ["3", "4", "5"], "answer": "C", "answer_index": 2, "category": null }),
    ];
    write(&place, "rows.jsonl", format!("{}\n{}\n", rows[0], rows[1]));
    write(&place, "rows.json", Value::from(rows.to_vec()).to_string());
    write(&place, "plain.parquet", parquet(["B", "C"], Compression::UNCOMPRESSED));
    write(&place, "snappy.parquet", parquet(["B", "C"], Compression::SNAPPY));
    write(&place, "zstd.parquet", parquet(["B", "C"], Compression::ZSTD(parquet::basic::ZstdLevel::default())));
    let (lines, _) = questions(&place, &json!({ "name": "mmlu_pro", "path": "rows.jsonl" }));
    assert_eq!(
        told(&lines[0]),
        json!({ "id": "mmlu_pro-7", "question": "Which is even?", "gold": ["B"], "choices": ["1", "2"], "meta": { "category": "maths" } })
    );
    assert_eq!(told(&lines[1])["meta"], json!({}));
    for path in ["rows.json", "plain.parquet", "snappy.parquet", "zstd.parquet"] {
        assert_eq!(questions(&place, &json!({ "name": "mmlu_pro", "path": path })).0, lines, "{path}");
    }
    let columns = json!({ "id": "question_id", "gold": "answer", "choices": "options", "meta": "category" });
    let (mapped, _) = questions(&place, &json!({ "name": "parquet", "path": "snappy.parquet", "columns": columns }));
    assert_eq!(
        told(&mapped[0]),
        json!({ "id": "7", "question": "Which is even?", "gold": ["B"], "choices": ["1", "2"], "meta": { "category": "maths" } })
    );
}

#[test]
fn the_other_published_forms_are_read() {
    let place = Place::new();
    write(&place, "nq.jsonl", "{\"question\": \"who drew it\", \"answer\": [\"Ann\", \"Ann Bell\"]}\n");
    let (rows, _) = questions(&place, &json!({ "name": "natural_questions", "path": "nq.jsonl" }));
    assert_eq!(
        told(&rows[0]),
        json!({ "id": "natural_questions-0", "question": "who drew it", "gold": ["Ann", "Ann Bell"], "meta": {} })
    );
    write(&place, "gsm.jsonl", "{\"question\": \"How many?\", \"answer\": \"2*600=<<2*600=1200>>1200\\n#### 1,200\"}\n");
    let (rows, _) = questions(&place, &json!({ "name": "gsm8k", "path": "gsm.jsonl" }));
    assert_eq!(
        told(&rows[0]),
        json!({ "id": "gsm8k-0", "question": "How many?", "gold": ["1200"], "meta": { "solution": "2*600=<<2*600=1200>>1200" } })
    );
    write(
        &place,
        "tqa.csv",
        "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,Incorrect Answers,Source\n\
         Adversarial,Cats,Do cats fly?,No,Yes,No; They cannot,At night; Yes,\n",
    );
    let (rows, _) = questions(&place, &json!({ "name": "truthfulqa", "path": "tqa.csv" }));
    assert_eq!(
        told(&rows[0]),
        json!({
            "id": "truthfulqa-0", "question": "Do cats fly?", "gold": ["No", "They cannot"], "wrong": ["Yes", "At night"],
            "meta": { "category": "Cats", "type": "Adversarial" },
        })
    );
    write(&place, "own.csv", "n,q,right,a,b,c,bad\n1,Which?,two,one,two,,\"[\"\"x\"\"]\"\n2,Why?,A,one,two,three,\n");
    let columns = json!({ "id": "n", "question": "q", "gold": "right", "choices": ["a", "b", "c"], "wrong": "bad" });
    let (rows, _) = questions(&place, &json!({ "name": "csv", "path": "own.csv", "columns": columns }));
    assert_eq!(
        told(&rows[0]),
        json!({ "id": "1", "question": "Which?", "gold": ["B"], "choices": ["one", "two"], "wrong": ["x"], "meta": {} })
    );
    assert_eq!(told(&rows[1])["choices"], json!(["one", "two", "three"]));
    // What is given out can be read again.
    let exported: Vec<_> = rows.iter().map(Value::to_string).collect();
    write(&place, "again.jsonl", exported.join("\n"));
    let (again, _) = questions(&place, &json!({ "name": "jsonl", "path": "again.jsonl" }));
    assert_eq!(again.iter().map(told).collect::<Vec<_>>(), rows.iter().map(told).collect::<Vec<_>>());
}

#[test]
fn a_malformed_row_is_named_by_its_place() {
    let place = Place::new();
    let header = "metadata,problem,answer\n";
    let mut damaged = parquet(["B", "C"], Compression::SNAPPY);
    let middle = damaged.len() / 8;
    damaged[4..middle].fill(0xff);
    let cut = parquet(["B", "C"], Compression::SNAPPY);
    for (name, path, content, message) in [
        (
            "simpleqa",
            "a.csv",
            format!("{header}{{}},Who?,Ann\n{{,Who?,Ann\n").into_bytes(),
            "`a.csv`, line 3: `metadata` is no Python",
        ),
        ("simpleqa", "b.csv", format!("{header}{{}},Who?\n").into_bytes(), "`b.csv`, line 2: there are 2 columns, and 3"),
        ("simpleqa", "c.csv", b"metadata,answer\n{},Ann\n".to_vec(), "`c.csv`, line 2: there is no `problem`"),
        ("simpleqa", "d.csv", [header.as_bytes(), b"{},\xff,Ann\n"].concat(), "`d.csv`, line 2: column 2 is no UTF-8"),
        (
            "simpleqa",
            "e.jsonl",
            b"{\"metadata\": {}, \"problem\": \"Who?\", \"answer\": \"\"}".to_vec(),
            "`e.jsonl`, line 1: `answer` is empty",
        ),
        (
            "natural_questions",
            "f.jsonl",
            b"\n{\"question\": \"who\", \"answer\": \"Ann\"}".to_vec(),
            "`f.jsonl`, line 2: `answer` is no list",
        ),
        ("natural_questions", "g.jsonl", b"{\"question\": \"who\", \"answer\": [}".to_vec(), "`g.jsonl`, line 1, column 32: "),
        (
            "gsm8k",
            "h.jsonl",
            b"{\"question\": \"How?\", \"answer\": \"4\"}".to_vec(),
            "`h.jsonl`, line 1: `answer` has no `####`",
        ),
        (
            "truthfulqa",
            "i.csv",
            b"Question,Best Answer\nDo cats fly?,No\n".to_vec(),
            "`i.csv`, line 2: there is no `Correct Answers`",
        ),
        ("mmlu", "anatomy_test.csv", b"a,1,2,3,4,A\nb,1,2,3,4,E\n".to_vec(), "`anatomy_test.csv`, line 2: column 6: `E`"),
        ("mmlu", "k.csv", b"a,1,2,3,A\n".to_vec(), "`k.csv`, line 1: there are 5 columns, and 6 are needed"),
        ("mmlu_pro", "l.json", b"[{\"question_id\": 1},\n{]".to_vec(), "`l.json`: key must be a string at line 2 column 2"),
        ("mmlu_pro", "m.json", b"[{\"question_id\": 1}]".to_vec(), "`m.json`, row 1: there is no `options`"),
        (
            "mmlu_pro",
            "n.parquet",
            parquet(["B", "A"], Compression::SNAPPY),
            "`n.parquet`, row 2: `answer` is `A`, and `answer_index` is 2",
        ),
        ("parquet", "o.parquet", cut[..cut.len() - 9].to_vec(), "`o.parquet`: "),
        ("parquet", "p.parquet", damaged, "`p.parquet`, row 1: "),
        ("parquet", "q.parquet", b"question,gold\n".to_vec(), "`q.parquet`: "),
        ("csv", "r.csv", b"question,gold\nWho?,\n".to_vec(), "`r.csv`, line 2: `gold` is neither text nor"),
        (
            "jsonl",
            "s.jsonl",
            b"{\"question\": \"Which?\", \"gold\": \"C\", \"choices\": [\"x\", \"y\"]}".to_vec(),
            "`s.jsonl`, line 1: the right answer `C`",
        ),
    ] {
        write(&place, path, content);
        let said = failure(&place, &json!({ "name": name, "path": path }), 1);
        assert!(said.contains(message), "{path}: {said}");
    }
}

#[test]
fn near_duplicates_are_said_and_dropped_by_choice() {
    let place = Place::new();
    let long = "Which of the rivers that flow from the northern side of the mountains reaches the sea first";
    let row = |id: &str, text: &str| json!({ "id": id, "question": text, "gold": "x" }).to_string();
    let texts: Vec<_> = (0..40).map(|number| row(&format!("n{number}"), &format!("{long}, {number}?"))).collect();
    let rows = [texts, vec![row("a", "Who drew it?"), row("b", "who  drew it?")]].concat();
    write(&place, "rows.jsonl", rows.join("\n"));
    let given = |more: &Value| {
        let mut with = json!({ "name": "jsonl", "path": "rows.jsonl", "split": { "train": 0.5, "validation": 0, "test": 0.5 } });
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with
    };
    let count = |more: Value| {
        let (rows, said) = questions(&place, &given(&more));
        let train = rows.iter().filter(|row| row["split"] == "train").count();
        (train, rows.len() - train, said)
    };
    let (train, test, said) = count(json!({}));
    assert!(train + test == 42 && train > 10 && test > 10);
    assert!(
        said.contains("1 question is asked more than once, such as `b` and `a` (`who drew it?`)") && !said.contains("nearly"),
        "{said}"
    );
    let (_, _, said) = count(json!({ "near_duplicates": 0.8 }));
    assert!(said.contains("nearly asked before in the same split") && said.contains("in a more held-out split too"), "{said}");
    let (train_left, test_left, _) = count(json!({ "near_duplicates": 0.8, "duplicates": "drop_across" }));
    // What is asked in training alone stays.
    assert!(test_left == test && train_left <= 2, "{train_left} {test_left}");
    let (train_left, test_left, said) = count(json!({ "near_duplicates": 0.8, "duplicates": "drop" }));
    assert!(train_left + test_left == 2 && said.contains("left out"), "{train_left} {test_left} {said}");
    let (train_left, test_left, _) = count(json!({ "duplicates": "drop" }));
    assert_eq!(train_left + test_left, 41);
    for (more, message) in [
        (json!({ "duplicates": "drop_across" }), "nothing to drop across splits"),
        (json!({ "near_duplicates": 0.2 }), "`near_duplicates` is not between 0.5 and 1"),
    ] {
        let said = failure(&place, &given(&more), 2);
        assert!(said.contains(message), "{said}");
    }
}
