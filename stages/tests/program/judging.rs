//! Judges against what others published: verdicts of benchmarks' own graders, and of people.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::place::Place;

/// A file beside the repository, where it is there.
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let there = path.exists();
    if !there {
        eprintln!("skipped: `{name}` is not beside the repository");
    }
    there.then(|| path.canonicalize().unwrap())
}

/// Judges recorded answers of these models, and measures the judge against the recorded verdicts.
fn measured(path: &std::path::Path, models: &[&str], judge: &Value) -> (Value, Vec<Compared>) {
    let place = Place::new();
    let roles: serde_json::Map<_, _> =
        models.iter().enumerate().map(|(index, model)| (format!("m{index}"), json!(format!("replay/{model}")))).collect();
    let manifest = json!({
        "version": 1,
        "providers": { "replay": { "kind": "replay", "file": path } },
        "stages": {
            "questions": { "uses": "benchmark", "with": { "name": "jsonl", "path": path } },
            "answers": { "uses": "answer", "in": { "questions": "questions" }, "with": { "models": roles } },
            "judged": { "uses": "judge", "in": { "questions": "questions", "answers": "answers" }, "with": judge },
            "reference": {
                "uses": "judge", "in": { "questions": "questions", "answers": "answers" },
                "with": { "judge": "recorded", "file": path },
            },
            "agreement": { "uses": "agreement", "in": { "verdicts": "judged", "reference": "reference" } },
        },
    });
    fs::write(place.path("m.yaml"), manifest.to_string()).unwrap();
    place.good(&["run", "m.yaml", "--quiet"]);
    let metrics = serde_json::from_str(&place.good(&["show", "m.yaml", "agreement"])).unwrap();
    let rows = |stage: &str| place.rows(&["m.yaml", stage, "--limit", "1000000"]);
    let correct = |verdict: &Value| verdict["verdict"] == "correct";
    let verdict = |((judged, reference), answer): ((Value, Value), Value)| Compared {
        text: answer["text"].as_str().unwrap_or_default().to_owned(),
        judged: correct(&judged),
        reference: correct(&reference),
    };
    (metrics, rows("judged").into_iter().zip(rows("reference")).zip(rows("answers")).map(verdict).collect())
}

/// An answer, and whether either side calls it correct.
struct Compared {
    text: String,
    judged: bool,
    reference: bool,
}

#[expect(clippy::print_stderr, reason = "figures are for those who ask with `--nocapture`")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn figure(what: &str, metrics: &Value, figure: &str) -> f64 {
    let all = &metrics["all"];
    let value = |name: &str| all[name]["value"].as_f64().unwrap_or(f64::NAN);
    say(&format!(
        "{what}: {} pairs, agreement {:.4} {}, kappa {:.3}, precision {:.3}, recall {:.3}",
        all["pairs"],
        value("agreement"),
        all["agreement"]["interval"],
        value("kappa"),
        value("precision"),
        value("recall")
    ));
    value(figure)
}

#[test]
fn choices_are_read_as_mmlu_pro_reads_them() {
    let Some(path) = shared("mmlu-pro-gemini/answers.jsonl") else { return };
    let (metrics, verdicts) = measured(&path, &["gemini-1.5-flash-002", "gemini-1.5-pro-002"], &json!({ "judge": "choice" }));
    assert!(figure("choice on MMLU-Pro", &metrics, "agreement") >= 0.99);
    for role in ["m0", "m1"] {
        let kappa = metrics["models"][role]["kappa"]["value"].as_f64().or(metrics["all"]["kappa"]["value"].as_f64()).unwrap();
        say(&format!("choice on MMLU-Pro, {role}: kappa {kappa:.4}"));
        assert!(kappa >= 0.98, "{role}: {kappa}");
    }
    // Where an answer states several letters (the examples' answers once more, and then its own), MMLU-Pro's grader takes the first
    // and this one the last.
    let statement = regex::Regex::new(r"answer is \(?([A-J])\)?").unwrap();
    let single = |text: &str| {
        let letters: std::collections::BTreeSet<_> = statement.captures_iter(text).map(|found| found[1].to_owned()).collect();
        letters.len() < 2
    };
    let single: Vec<_> = verdicts.iter().filter(|verdict| single(&verdict.text)).collect();
    let equal = single.iter().filter(|verdict| verdict.judged == verdict.reference).count();
    let share = equal as f64 / single.len() as f64;
    say(&format!("choice on the {} answers of one statement: agreement {share:.4}", single.len()));
    assert!(share >= 0.995, "{share}");
}

#[test]
fn numbers_are_read_as_zero_eval_reads_them() {
    let Some(path) = shared("zeroeval-gsm8k/answers.jsonl") else { return };
    let models =
        ["gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "claude-3-haiku-20240307", "gpt-3.5-turbo-0125", "gemma-2-2b-it"];
    let (metrics, _) = measured(&path, &models, &json!({ "judge": "numeric" }));
    assert!(figure("numeric on ZeroEval's GSM8K", &metrics, "agreement") >= 0.995);
}

#[test]
fn numbers_are_read_as_route_llm_reads_them_but_for_cents() {
    let Some(path) = shared("routellm-gsm8k/answers.jsonl") else { return };
    let models = ["mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"];
    let (metrics, verdicts) = measured(&path, &models, &json!({ "judge": "numeric" }));
    figure("numeric on RouteLLM's GSM8K", &metrics, "agreement");
    // RouteLLM's grader reads the digits behind the last point: to it `$144.00` is no 144, and `0.5` is a 5.
    let cents = regex::Regex::new(r"\.\d").unwrap();
    let tail = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_owned();
    let whole: Vec<_> = verdicts.iter().filter(|verdict| !cents.is_match(&tail(&verdict.text))).collect();
    let equal = whole.iter().filter(|verdict| verdict.judged == verdict.reference).count();
    let share = equal as f64 / whole.len() as f64;
    say(&format!("numeric on the {} answers that end without a point: agreement {share:.4}", whole.len()));
    // The rest are sentences such as "60 shells by her 10th birthday", which to it are a 10.
    assert!(share >= 0.99, "{share}");
}

#[test]
fn words_agree_with_people_as_far_as_words_can() {
    let Some(path) = shared("evouna-nq/answers.jsonl") else { return };
    for (model, judge, least) in [
        ("dpr-fid", json!({ "judge": "squad" }), 0.7),
        ("dpr-fid", json!({ "judge": "contains" }), 0.88),
        ("text-davinci-003", json!({ "judge": "contains" }), 0.83),
        ("chatgpt-3.5", json!({ "judge": "contains" }), 0.79),
        ("chatgpt-4", json!({ "judge": "contains" }), 0.81),
        ("dpr-fid", json!({ "judge": "f1" }), 0.7),
        ("chatgpt-4", json!({ "judge": "f1", "threshold": 0.1 }), 0.5),
    ] {
        let (metrics, _) = measured(&path, &[model], &judge);
        assert!(figure(&format!("{judge} on {model}"), &metrics, "agreement") >= least);
    }
}

#[test]
fn a_judge_is_measured_against_people() {
    let Some(people) = shared("judge-nq301/NQ301_human.tsv") else { return };
    let place = Place::new();
    // One line an answer; the last answers of a question are those of further systems.
    let verdicts = |path: PathBuf, column: usize| {
        let text = fs::read_to_string(path).unwrap();
        let mut answers = std::collections::BTreeMap::<String, usize>::new();
        let row = |line: &str| {
            let cells: Vec<_> = line.split('\t').map(|cell| cell.trim_matches('"').trim()).collect();
            let count = answers.entry(cells[0].to_owned()).or_default();
            *count += 1;
            let verdict = if cells[column].starts_with("Yes") { "correct" } else { "incorrect" };
            json!({ "id": cells[0], "model": format!("answer-{count}"), "verdict": verdict, "reason": "", "split": "test" })
                .to_string()
        };
        text.lines().skip(1).map(row).collect::<Vec<_>>().join("\n")
    };
    fs::write(place.path("people.jsonl"), verdicts(people.clone(), 3)).unwrap();
    fs::write(place.path("judge.jsonl"), verdicts(people.with_file_name("NQ301_gpt-4.tsv"), 4)).unwrap();
    let manifest = "version: 1
stages:
  agreement: { uses: agreement, in: { verdicts: ./judge.jsonl, reference: ./people.jsonl } }
";
    fs::write(place.path("m.yaml"), manifest).unwrap();
    place.good(&["run", "m.yaml"]);
    let metrics: Value = serde_json::from_str(&place.good(&["show", "m.yaml", "agreement"])).unwrap();
    assert_eq!((&metrics["questions"], &metrics["all"]["pairs"]), (&json!(301), &json!(1490)));
    let kappa = figure("GPT-4 on NQ-301", &metrics, "kappa");
    let table = &metrics["all"]["table"];
    let count = |judge: &str, people: &str| table[judge][people].as_f64().unwrap();
    // Cohen's kappa from the table by itself.
    let (yes, no) = (["correct"], ["incorrect"]);
    let both = count(yes[0], yes[0]) + count(no[0], no[0]);
    let (said, right) = (count(yes[0], yes[0]) + count(yes[0], no[0]), count(yes[0], yes[0]) + count(no[0], yes[0]));
    let chance = (said * right + (1490.0 - said) * (1490.0 - right)) / 1490.0;
    assert!((kappa - (both - chance) / (1490.0 - chance)).abs() < 1e-12);
    assert!(kappa > 0.5, "{kappa}");
}

#[test]
fn every_wrong_param_of_a_judge_is_reported_at_its_place() {
    let place = Place::new();
    fs::write(place.path("prompt.txt"), "").unwrap();
    let stage = |with: &str| {
        let ports = "in: { questions: questions, answers: answers }";
        format!("  judged: {{ uses: judge, {ports}, with: {{ {with} }} }}\n")
    };
    let above = "version: 1
stages:
  questions: { uses: benchmark, with: { name: arithmetic, count: 3 } }
  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: calculator/pocket } } }
";
    let mistakes = |with: &str| -> Vec<(String, String, String)> {
        fs::write(place.path("m.yaml"), format!("{above}{}", stage(with))).unwrap();
        let output = place.call(&["check", "m.yaml", "--format", "json"]);
        assert_eq!(output.status.code(), Some(2), "{with}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = stage(with);
        let found = document["mistakes"].as_array().unwrap().iter().map(|mistake| {
            let label = &mistake["labels"][0];
            let column = label["column"].as_u64().unwrap() as usize - 1;
            let marked = line[column..].split([',', ' ', '}']).next().unwrap_or_default().to_owned();
            assert_eq!(label["line"], 5, "{mistake}");
            (text(&mistake["message"]), text(&mistake["help"]), marked)
        });
        found.collect()
    };
    let told =
        mistakes("judge: numeric, tolerance: -1, relative_tolerance: -0.5, threshold: 3, pattern: x, votes: 2, model: x/y");
    let expected = [
        ("`tolerance` must not be negative", "give 0 for exact comparison", "-1"),
        ("`relative_tolerance` must not be negative", "give 0 for exact comparison", "-0.5"),
        ("judge `numeric` has no `threshold`", "take it out, or write `judge: f1`, which has it", "3"),
        ("judge `numeric` has no `pattern`", "take it out, or write `judge: regex`, which has it", "x"),
        ("judge `numeric` has no `votes`", "take it out, or write `judge: llm`, which has it", "2"),
        ("judge `numeric` has no `model`", "take it out, or write `judge: llm`, which has it", "x/y"),
    ];
    let all = |expected: &[(&str, &str, &str)]| {
        expected.iter().map(|(message, help, marked)| ((*message).into(), (*help).into(), (*marked).into())).collect::<Vec<_>>()
    };
    assert_eq!(told, all(&expected));
    let told = mistakes("judge: llm, votes: 0, second: nobody, file: prompt.txt");
    let expected = [
        ("judge `llm` asks a model, and none is named", "add `model: PROVIDER/NAME`", "llm"),
        ("`votes` must be at least 1", "give 1 or more", "0"),
    ];
    for expected in all(&expected) {
        assert!(told.contains(&expected), "{told:?}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
    for (with, message, help) in [
        ("judge: exct", "`judge` cannot be `exct`", "did you mean `exact`?"),
        ("judge: regex", "judge `regex` looks for a pattern, and none is given", "add `pattern: '…'`"),
        ("judge: regex, pattern: '('", "the pattern cannot be read: unclosed group", "correct it; a backslash"),
        ("judge: f1, threshold: 1.5", "`threshold` must be between 0 and 1", "for example 0.5"),
        ("judge: recorded", "judge `recorded` reads verdicts from a file, and none is named", "add `file: PATH`"),
        ("judge: exact, settings: { temprature: 1 }", "there is no field `temprature` here", "did you mean `temperature`?"),
        ("tolerance: 1", "the field `judge` is missing in `stages.judged.with`", "add `judge: …`"),
    ] {
        let told = mistakes(with);
        assert!(told.len() == 1 && told[0].0 == message && told[0].1.starts_with(help), "{with}: {told:?}");
    }
    // What is written as it is by default changes nothing, whichever judge it is of.
    fs::write(place.path("m.yaml"), format!("{above}{}", stage("judge: exact, tolerance: 0, votes: 1"))).unwrap();
    place.good(&["check", "m.yaml"]);
}

#[test]
fn an_author_whom_a_judge_favours_is_named() {
    let place = Place::new();
    let row = |id: usize, model: &str, verdict: &str| {
        json!({ "id": format!("q{id}"), "model": model, "verdict": verdict, "reason": "", "split": "test" }).to_string()
    };
    let verdicts = |of: &dyn Fn(usize, &str) -> &'static str| {
        let rows = (0..100).flat_map(|id| ["own", "other"].map(|model| row(id, model, of(id, model))));
        rows.collect::<Vec<_>>().join("\n")
    };
    let right = |id: usize, _: &str| if id.is_multiple_of(2) { "correct" } else { "incorrect" };
    let kind =
        |id: usize, model: &str| if id.is_multiple_of(2) || model == "own" && id % 4 == 1 { "correct" } else { "incorrect" };
    fs::write(place.path("judge.jsonl"), verdicts(&kind)).unwrap();
    fs::write(place.path("people.jsonl"), verdicts(&right) + "\n" + &row(200, "own", "correct")).unwrap();
    let manifest = "version: 1
stages:
  agreement: { uses: agreement, in: { verdicts: ./judge.jsonl, reference: ./people.jsonl } }
";
    fs::write(place.path("m.yaml"), manifest).unwrap();
    let ran = place.call(&["run", "m.yaml"]);
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{err}");
    assert!(err.contains("kinder to `own`") && err.contains("0.500") && !err.contains("kinder to `other`"), "{err}");
    assert!(err.contains("0 verdicts have no reference, and 1 of the reference no verdict"), "{err}");
    fs::write(place.path("judge.jsonl"), [row(1, "own", "correct"), row(1, "own", "idk")].join("\n")).unwrap();
    let twice = String::from_utf8_lossy(&place.call(&["run", "m.yaml"]).stderr).into_owned();
    assert!(twice.contains("`verdicts` has two verdicts on `own` for question `q1`"), "{twice}");
}

/// Judges answers in a file, and gives the verdicts by id with what the stage said.
fn judged(rows: &[Value], judge: &Value) -> (std::collections::BTreeMap<String, Value>, String) {
    let place = Place::new();
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    fs::write(place.path("a.jsonl"), lines.join("\n")).unwrap();
    let manifest = json!({
        "version": 1,
        "providers": { "replay": { "kind": "replay", "file": "./a.jsonl" } },
        "stages": {
            "questions": { "uses": "benchmark", "with": { "name": "jsonl", "path": "./a.jsonl" } },
            "answers": { "uses": "answer", "in": { "questions": "questions" }, "with": { "models": { "medium": "replay/m" } } },
            "verdicts": { "uses": "judge", "in": { "questions": "questions", "answers": "answers" }, "with": judge },
        },
    });
    fs::write(place.path("m.yaml"), manifest.to_string()).unwrap();
    let output = place.call(&["run", "m.yaml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return (std::collections::BTreeMap::new(), said);
    }
    let verdicts = place.rows(&["m.yaml", "verdicts", "--limit", "1000000"]);
    (verdicts.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect(), said)
}

fn answered(id: usize, gold: &Value, text: &Value) -> Value {
    json!({ "id": id.to_string(), "question": format!("q{id}?"), "gold": gold, "answers": { "m": { "text": text, "input": 5, "output": 5 } } })
}

#[test]
fn what_an_answer_says_as_its_answer_counts_for_every_judge() {
    for (judge, cases) in [
        (
            json!({ "judge": "numeric" }),
            vec![
                ("42", "I'm not sure I multiplied right, so again: 6*7=42.\n#### 42", "correct"),
                ("42", "One cannot answer without the rate; it is 3. The answer is 42.", "correct"),
                ("42", "I am not sure.", "idk"),
                ("Error", "Error", "correct"),
                ("42", "<think>It is 41, or so</think>42", "correct"),
                ("42", "<think>It is 42.", "idk"),
                ("5", "\\boxed{5\\sqrt{2}}", "incorrect"),
                ("5", "between 3 and 5", "incorrect"),
            ],
        ),
        (
            json!({ "judge": "contains" }),
            vec![
                ("Paris", "The capital of France is Paris.", "correct"),
                ("Barack Obama", "not Barack Obama", "incorrect"),
                ("1.5", "15", "incorrect"),
                ("Paris", "I don't know.", "idk"),
                ("Paris", "<reasoning>London? Paris!</reasoning>London", "incorrect"),
            ],
        ),
        (
            json!({ "judge": "regex", "pattern": "is (\\S+)$" }),
            vec![("1.5", "it is 15", "incorrect"), ("C++", "it is C", "incorrect"), ("C++", "it is C++", "correct")],
        ),
        (json!({ "judge": "regex", "pattern": "is (\\S+)$", "normalise": true }), vec![("Paris", "it is paris.", "correct")]),
        (
            json!({ "judge": "math" }),
            vec![
                ("\\frac{1}{2}", "So \\boxed{0.5}.", "correct"),
                ("(1,2)", "\\boxed{(2,1)}", "incorrect"),
                ("(C)", "The answer is \\text{(C)}.", "correct"),
            ],
        ),
        (json!({ "judge": "exact" }), vec![("error", "Error", "correct"), ("x", "Error", "idk")]),
    ] {
        let rows: Vec<_> =
            cases.iter().enumerate().map(|(id, (gold, text, _))| answered(id, &json!([gold]), &json!(text))).collect();
        let (verdicts, said) = judged(&rows, &judge);
        for (id, (gold, text, right)) in cases.iter().enumerate() {
            assert_eq!(verdicts[&id.to_string()]["verdict"], *right, "{judge}: {text:?} for {gold}: {said}");
        }
    }
}

#[test]
fn answers_that_cannot_be_read_as_one_are_counted() {
    let texts = ["Both B and C are correct.", "Answer: A or B", "A metal, I think.", "B"];
    let rows = texts.iter().enumerate().map(|(id, text)| {
        let mut row = answered(id, &json!(["B"]), &json!(text));
        row["choices"] = json!(["iron", "gold", "silver", "tin"]);
        row
    });
    let (verdicts, said) = judged(&rows.collect::<Vec<_>>(), &json!({ "judge": "choice" }));
    let unclear = |id: &str| verdicts[id].get("unclear").cloned();
    assert_eq!(
        ["0", "1", "2", "3"].map(unclear),
        [Some(json!("several")), Some(json!("several")), Some(json!("unreadable")), None]
    );
    assert!(said.contains("2 give several answers and in 1 nothing can be read"), "{said}");
    assert_eq!(said.matches("see `unclear`").count(), 1, "{said}");
}

#[test]
fn an_answer_without_text_is_refused_and_named() {
    let mut row = answered(0, &json!(["B"]), &Value::Null);
    row["answers"]["m"]["verdict"] = json!("Correct");
    row["choices"] = json!(["iron", "gold"]);
    for judge in ["choice", "numeric", "exact", "squad", "f1", "contains", "math"] {
        let (_, said) = judged(&[row.clone()], &json!({ "judge": judge }));
        assert!(said.contains("no answer has a text to judge") && said.contains("judge: recorded"), "{judge}: {said}");
        // One among others stops nothing, and is counted.
        let mut other = answered(1, &json!(["B"]), &json!("B"));
        other["choices"] = json!(["iron", "gold"]);
        let (verdicts, said) = judged(&[row.clone(), other], &json!({ "judge": judge }));
        assert!(verdicts.len() == 1 && said.contains("1 of 2 answers have no verdict: 1 without a text"), "{judge}: {said}");
    }
    let (verdicts, said) = judged(&[row], &json!({ "judge": "recorded", "file": "./a.jsonl" }));
    assert_eq!(verdicts["0"]["verdict"], "correct", "{said}");
}
