//! Files of rows as people have them: other separators, packed, in one JSON document, with marks, indices, lists and aliases.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    benchmarks::{failure, parquet, questions},
    place::Place,
};

fn write(place: &Place, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(place.path(name), bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The golds and choices of the rows that a file has.
fn golds(name: &str, content: impl AsRef<[u8]>, columns: &Value) -> Vec<Value> {
    let place = Place::new();
    write(&place, "rows", content);
    let (rows, _) = questions(&place, &json!({ "name": name, "path": "rows", "columns": columns }));
    rows.into_iter().map(|row| row["gold"].clone()).collect()
}

/// What is said of a file that is refused.
fn refusal(name: &str, content: impl AsRef<[u8]>, columns: &Value) -> String {
    let place = Place::new();
    write(&place, "rows", content);
    failure(&place, &json!({ "name": name, "path": "rows", "columns": columns }), 1)
}

#[test]
fn the_same_rows_are_read_from_every_kind_of_text() {
    let rows = [
        json!({ "id": "a", "question": "Who?", "gold": "Ann" }),
        json!({ "id": "b", "question": "When, then?", "gold": "1912" }),
    ];
    let lines = format!("{}\n{}\n", rows[0], rows[1]);
    let array = Value::from(rows.to_vec());
    let csv = "id,question,gold\na,Who?,Ann\nb,\"When, then?\",1912\n";
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let forms: Vec<(&str, &str, Vec<u8>)> = vec![
        ("lines", "jsonl", lines.clone().into_bytes()),
        ("lines with a mark", "jsonl", marked(&lines)),
        ("packed lines", "jsonl", gzip(lines.as_bytes())),
        ("packed lines with a mark", "jsonl", gzip(&marked(&lines))),
        ("array", "jsonl", array.to_string().into_bytes()),
        ("array over lines with a mark", "jsonl", marked(&format!("{array:#}\n"))),
        ("object with one array", "jsonl", json!({ "version": 1.1, "tags": ["x"], "data": rows }).to_string().into_bytes()),
        ("object over lines", "jsonl", format!("{:#}", json!({ "Data": rows, "Split": { "of": [1] } })).into_bytes()),
        ("csv", "csv", csv.as_bytes().to_vec()),
        ("csv with a mark", "csv", marked(csv)),
        ("packed csv", "csv", gzip(csv.as_bytes())),
        ("tsv", "csv", b"id\tquestion\tgold\na\tWho?\tAnn\nb\tWhen, then?\t1912\n".to_vec()),
        ("semicolons", "csv", b"id;question;gold\r\na;Who?;Ann\r\nb;When, then?;1912\r\n".to_vec()),
    ];
    let place = Place::new();
    let mut expected = None;
    for (form, name, bytes) in forms {
        write(&place, "rows", bytes);
        let (mut read, _) = questions(&place, &json!({ "name": name, "path": "rows" }));
        for row in &mut read {
            row["benchmark"] = Value::Null;
        }
        assert_eq!(expected.get_or_insert_with(|| read.clone()), &read, "{form}");
        assert_eq!((read.len(), &read[1]["question"]), (2, &json!("When, then?")), "{form}");
    }
    write(&place, "rows", "id|question|gold\na|Who?|Ann\n");
    let (read, _) = questions(&place, &json!({ "name": "csv", "path": "rows", "delimiter": "|" }));
    assert_eq!(read[0]["gold"], json!(["Ann"]));
    for (with, message) in [
        (json!({ "name": "csv", "path": "rows", "delimiter": "||" }), "`||` is not one character"),
        (json!({ "name": "jsonl", "path": "rows", "delimiter": "," }), "only `csv` has a delimiter"),
    ] {
        let said = failure(&place, &with, 2);
        assert!(said.contains(message), "{said}");
    }
    // One row on one line is a row, whatever arrays it has; over several lines too.
    let row = json!({ "question": "Who?", "gold": ["Ann"], "sources": [{ "page": 1 }] });
    assert_eq!(golds("jsonl", row.to_string(), &json!({})), [json!(["Ann"])]);
    assert_eq!(golds("jsonl", format!("{row:#}"), &json!({})), [json!(["Ann"])]);
}

#[test]
fn every_codec_of_parquet_is_read() {
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    let place = Place::new();
    let columns = json!({ "id": "question_id", "gold": "answer", "choices": "options" });
    let mut expected = None;
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        write(&place, "rows", parquet(["B", "C"], codec));
        let (read, _) = questions(&place, &json!({ "name": "parquet", "path": "rows", "columns": columns }));
        assert_eq!(read.len(), 2);
        assert_eq!(expected.get_or_insert_with(|| read.clone()), &read, "{codec:?}");
    }
}

#[test]
fn an_index_is_said_and_never_guessed() {
    let lines = "{\"question\":\"2+0?\",\"choices\":[\"1\",\"2\",\"3\",\"4\"],\"answer\":1}\n\
                 {\"question\":\"S5 index?\",\"choices\":[\"8\",\"2\",\"24\",\"120\"],\"answer\":2}\n";
    let columns = |index: Value| json!({ "gold": "answer", "gold_index": index });
    assert_eq!(golds("jsonl", lines, &columns(json!(0))), [json!(["B"]), json!(["C"])]);
    assert_eq!(golds("jsonl", lines, &columns(json!(1))), [json!(["A"]), json!(["B"])]);
    assert_eq!(golds("jsonl", lines, &columns(json!("none"))), [json!(["A"]), json!(["B"])]);
    let said = refusal("jsonl", lines, &json!({ "gold": "answer" }));
    assert!(said.contains("line 1: `answer` is 1, which may be the index of a choice or its text"), "{said}");
    let csv = "question,choices,answer\nWhich?,\"['red', 'it''s', \"\"blue\"\"]\",2\n".replace("it''s", "green");
    assert_eq!(golds("csv", &csv, &columns(json!(0))), [json!(["C"])]);
    let said = refusal("csv", csv, &json!({ "gold": "answer" }));
    assert!(said.contains("line 2: `answer` is 2, which may be the index of a choice;"), "{said}");
    let said = refusal("jsonl", lines.replace("\"answer\":2", "\"answer\":4"), &columns(json!(0)));
    assert!(said.contains("line 2: `answer` is `4`, which is no index of 4 choices, counted from 0"), "{said}");
}

#[test]
fn golds_are_texts_truths_lists_and_aliases() {
    let trivia = json!({ "Data": [{
        "Question": "Who sang it?", "QuestionId": "tc_1", "Answer": { "Value": "Ann Bell", "Aliases": ["A. Bell", "Ann Bell"] },
    }], "Domain": "Web" });
    let columns = json!({ "id": "QuestionId", "question": "Question", "gold": "Answer" });
    assert_eq!(golds("jsonl", trivia.to_string(), &columns), [json!(["Ann Bell", "A. Bell"])]);
    let truths = "{\"question\":\"Wet?\",\"gold\":true}\n{\"question\":\"Dry?\",\"gold\":false,\"choices\":[\"yes\",\"no\"]}\n";
    assert_eq!(golds("jsonl", truths, &json!({})), [json!(["true"]), json!(["B"])]);
    let csv = "question,gold\nWho?,\"['Ann', \"\"Bo\"\"]\"\nWhen?,\"[\"\"1912\"\", \"\"in 1912\"\"]\"\nWhere?,\"[0, 1)\"\n";
    assert_eq!(golds("csv", csv, &json!({})), [json!(["Ann", "Bo"]), json!(["1912", "in 1912"]), json!(["[0, 1)"])]);
    let said = refusal("csv", "question,gold\nWhich vector?,\"[3, 4]\"\n", &json!({}));
    assert!(said.contains("line 2: `gold` is `[3, 4]`, which may be a list of right answers or one"), "{said}");
}

#[test]
fn what_cannot_be_right_or_asked_is_refused_with_its_row() {
    for (name, content, message) in [
        ("jsonl", "{\"question\":\"Q\",\"gold\":\"a\"}\n{\"question\":\"R\",\"gold\":[]}\n", "line 2: `gold` is empty"),
        ("jsonl", "{\"question\":\"R\",\"gold\":\"\"}\n", "line 1: `gold` is empty"),
        ("jsonl", "{\"question\":\"R\",\"gold\":[\"a\",\" \"]}\n", "line 1: `gold` is empty"),
        ("jsonl", "{\"question\":\" \",\"gold\":\"a\"}\n", "line 1: `question` is empty"),
        ("jsonl", "[{\"question\":\"Q\",\"gold\":\"a\"},\n{\"question\":null,\"gold\":\"a\"}]", "row 2: `question` is empty"),
        ("csv", "question,gold\n,a\n", "line 2: `question` is empty"),
        ("csv", "question,gold\nQ,[]\n", "line 2: `gold` is empty"),
        ("csv", "question,gold,question\nQ,a,R\n", "columns 1 and 3 are both named `question`"),
        ("jsonl", "[{\"question\":\"Q\",\"gold\":\"a\"}", "`rows`: EOF while parsing a list at line 1 column 28"),
        ("jsonl", "[{\"question\":\"Q\",\"gold\":\"a\"}]\n7", "`rows`: trailing characters at line 2 column 1"),
        ("jsonl", "[1]", "a row is no object at line 1 column 2"),
        ("jsonl", "{\n\"data\": [{\"question\": \"Q\"]}", "line 2, column"),
        ("jsonl", "{\"a\": [{\"x\": 1}], \"b\": [{\"x\": 1}]}", "has several arrays of rows: `a`, `b`"),
        ("jsonl", "BZh91AY", "packed by bzip2"),
    ] {
        let said = refusal(name, content, &json!({}));
        assert!(said.contains("`rows`") && said.contains(message), "{content}: {said}");
    }
    let said = refusal("jsonl", b"\xff\xfe{\0}\0", &json!({}));
    assert!(said.contains("`rows` is UTF-16 text"), "{said}");
}

#[test]
fn mmlu_is_read_with_a_header_with_numbers_and_as_a_table() {
    let place = Place::new();
    let read = |content: &str, columns: Value| {
        write(&place, "m", content);
        let (rows, _) = questions(&place, &json!({ "name": "mmlu", "path": "m", "columns": columns }));
        rows.into_iter().map(|row| (row["gold"][0].clone(), row["choices"].clone(), row["meta"].clone())).collect::<Vec<_>>()
    };
    let expected = vec![(json!("B"), json!(["1", "2", "3", "4"]), json!({ "subject": "maths" }))];
    let plain = vec![(json!("B"), json!(["1", "2", "3", "4"]), json!({}))];
    assert_eq!(read(",Question,A,B,C,D,Answer,Subject\n0,2+0?,1,2,3,4,B,maths\n", json!({})), expected);
    assert_eq!(read("question,subject,choices,answer\n2+0?,maths,\"['1' '2' '3'\n '4']\",1\n", json!({})), expected);
    assert_eq!(
        read("{\"question\":\"2+0?\",\"subject\":\"maths\",\"choices\":[\"1\",\"2\",\"3\",\"4\"],\"answer\":1}", json!({})),
        expected
    );
    assert_eq!(read("question,A,B,C,D,answer\n2+0?,1,2,3,4,2\n", json!({ "gold_index": 1 })), plain);
    assert_eq!(read("0,2+0?,1,2,3,4,B\n", json!({})), plain);
    write(&place, "m", "question,A,B,C,D,answer\n2+0?,1,2,3,4,2\n");
    let said = failure(&place, &json!({ "name": "mmlu", "path": "m" }), 1);
    assert!(said.contains("`m`, line 2: `answer` is `2`, which may be the index of a choice"), "{said}");
}

#[test]
fn truthfulqa_with_choices_is_read() {
    let row = json!({ "question": "Do cats fly?", "mc0_targets": { "No": 1, "Yes": 0 }, "mc1_targets": { "No": 1, "Yes": 0, "At night": 0 },
        "mc2_targets": { "No": 1, "Never": 1, "Yes": 0 } });
    let place = Place::new();
    write(&place, "mc_task.json", json!([row]).to_string());
    let (rows, _) = questions(&place, &json!({ "name": "truthfulqa", "path": "mc_task.json" }));
    let choices = rows[0]["choices"].as_array().unwrap();
    let right = choices.iter().position(|choice| choice == "No").unwrap();
    assert_eq!((choices.len(), &rows[0]["gold"][0]), (3, &json!(["A", "B", "C"][right])));
}

#[test]
fn a_file_that_unpacks_to_a_thousand_times_its_size_is_refused() {
    let place = Place::new();
    let zeros = vec![b'0'; 1 << 20];
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(b"{\"question\": \"").unwrap();
    (0..1024).for_each(|_| packed.write_all(&zeros).unwrap());
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 2 << 20);
    for name in ["jsonl", "csv", "mmlu", "simpleqa"] {
        write(&place, "rows", &packed);
        let mut command = place.command(&["run", "m.yaml"]);
        let manifest =
            json!({ "version": 1, "stages": { "q": { "uses": "benchmark", "with": { "name": name, "path": "rows" } } } });
        write(&place, "m.yaml", manifest.to_string());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("`rows`") && said.contains("unpacks to more than 100 times its size"), "{name}: {said}");
    }
}

#[test]
fn a_parquet_page_that_unpacks_to_a_thousand_times_its_size_is_refused() {
    use std::sync::Arc;

    use parquet::{
        basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
        data_type::{ByteArray, ByteArrayType},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = Arc::new(parse_message_type("message rows { required binary question (STRING); }").unwrap());
    let zeros = ByteArray::from("0".repeat(100 << 20).as_str());
    for codec in [
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let properties = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(false).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&schema), Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(std::slice::from_ref(&zeros), None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        let said = refusal("parquet", writer.into_inner().unwrap(), &json!({}));
        assert!(said.contains("`rows`") && said.contains("cannot unpack to"), "{codec:?}: {said}");
    }
}
