//! Models that judge and analyse over HTTP: what they see, and what becomes of replies that cannot be read.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use crate::{
    place::Place,
    providers::{err, failed, place, run},
    server::{Answer, Server},
};

/// Every field around a question and its answers that could tell the judge who answered.
const AUTHORS: [&str; 5] = ["canaryprovider", "canarymodel", "canaryserved", "canaryrole", "canarybench"];

#[test]
fn a_judge_and_an_analysis_see_nothing_that_tells_of_authors() {
    let server = Server::new(|request, _| {
        if request.said().starts_with("Grade an answer") {
            Answer::says("{\"reason\": \"same\", \"verdict\": \"correct\"}")
        } else if request.said().starts_with("Say what can be told") {
            Answer::says(
                "{\"domain\": \"d\", \"kind\": \"k\", \"steps\": 1, \"ambiguous\": false, \"reasoning\": \"It is short.\"}",
            )
        } else {
            Answer::chat("the answer", "stop", "canaryserved")
        }
    });
    let place = Place::new();
    let question = json!({
        "id": "canaryid", "question": "Which one?", "gold": "canarygold", "meta": { "from": "canarybench", "model": "canarymodel" },
    });
    fs::write(place.path("q.jsonl"), format!("{question}\n")).unwrap();
    let manifest = format!(
        "version: 1
providers:
  canaryprovider: {{ kind: openai, base_url: \"{0}\" }}
  judge: {{ kind: openai, base_url: \"{0}\" }}
stages:
  questions: {{ uses: benchmark, with: {{ name: jsonl, path: q.jsonl }} }}
  answers: {{ uses: answer, in: {{ questions: questions }}, with: {{ models: {{ canaryrole: canaryprovider/canarymodel }} }} }}
  verdicts: {{ uses: judge, in: {{ questions: questions, answers: answers }}, with: {{ judge: llm, model: judge/j, votes: 3 }} }}
  analyses: {{ uses: analyse, in: {{ questions: questions }}, with: {{ by: llm, model: judge/j }} }}
",
        server.url()
    );
    fs::write(place.path("m.yaml"), manifest).unwrap();
    assert_eq!(run(&place).status.code(), Some(0));
    assert_eq!(place.rows(&["m.yaml", "verdicts"])[0]["verdict"], "correct");
    assert_eq!(place.rows(&["m.yaml", "analyses"])[0]["reasoning"], "It is short.");
    let requests = server.requests();
    let (judged, others): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| request.said().starts_with("Grade"));
    assert_eq!(judged.len(), 3);
    for request in &judged {
        assert!(request.raw.contains("canarygold") && request.raw.contains("the answer"), "{}", request.raw);
        for author in AUTHORS.iter().chain(&["canaryid"]) {
            assert!(!request.raw.contains(author), "`{author}` in {}", request.raw);
        }
    }
    let analysed: Vec<_> = others.iter().filter(|request| request.said().starts_with("Say what")).collect();
    assert_eq!(analysed.len(), 1);
    for word in AUTHORS.iter().chain(&["canaryid", "canarygold", "the answer"]) {
        assert!(!analysed[0].raw.contains(word), "`{word}` in {}", analysed[0].raw);
    }
}

#[test]
fn a_model_that_never_answers_in_the_form_it_is_asked_for_ends_its_stage_soon() {
    let server = Server::new(|request, _| match request.said() {
        said if said.starts_with("What is") => Answer::says("x"),
        _ => {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Answer::says("It is right, I think.")
        }
    });
    let judge = "verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/j } }";
    let analyse = "analyses: { uses: analyse, in: { questions: questions }, with: { by: llm, model: p/j } }";
    for (stage, whose, questions) in [(judge, "the judge", 400), (analyse, "the model", 400), (judge, "the judge", 3)] {
        let place = place("openai", &server.url(), questions, "");
        let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
        fs::write(place.path("m.yaml"), format!("{manifest}  {stage}\n")).unwrap();
        place.good(&["run", "m.yaml", "answers", "--budget", "none"]);
        let before = server.count();
        let text = failed(&run(&place), 1);
        let rows = questions.min(24);
        for told in [&format!("no reply of {whose} to the first {rows} rows could be read")[..], "says `It is right, I think.`"] {
            assert_eq!(text.matches(told).count(), 1, "{told}: {text}");
        }
        assert!(!text.contains("Warning"), "{text}");
        let calls = server.count() - before;
        // Each of the first rows is asked twice, and no other.
        assert_eq!(calls, 2 * rows);
        assert_eq!(place.call(&["plan", "m.yaml", "--exit-code"]).status.code(), Some(3), "the stage is no hit");
        // The replies are kept, and tell the same again.
        failed(&run(&place), 1);
        assert_eq!(server.count() - before, calls, "what was bought is bought again");
    }
}

#[test]
fn rows_that_a_judge_says_nothing_readable_on_are_counted_in_one_line() {
    let server = Server::new(|request, _| match request.said().starts_with("What is") {
        true => Answer::says("x"),
        false if request.raw.contains("What is 7?") => Answer::says("{\"reason\": \"r\", \"verdict\": \"correct\"}"),
        false => Answer::says("no"),
    });
    let place = place("openai", &server.url(), 10, "");
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    let stage = "verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/j } }";
    fs::write(place.path("m.yaml"), format!("{manifest}  {stage}\n")).unwrap();
    let output = run(&place);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.matches("Warning").count(), 1, "{text}");
    assert!(text.contains("9 of 10 rows have no reply of the judge that can be read, such as question `q"), "{text}");
    assert_eq!(place.rows(&["m.yaml", "verdicts"]).len(), 1);
}

#[test]
fn votes_tie_and_a_second_judge_decides() {
    let votes = AtomicUsize::new(0);
    let server = Server::new(move |request, _| {
        let verdict = |word: &str| Answer::says(&json!({ "reason": "r", "verdict": word }).to_string());
        match (request.said().starts_with("Grade"), request.body["model"].as_str()) {
            (false, _) => Answer::says("x"),
            (true, Some("second")) => verdict("incorrect"),
            _ => verdict(["correct", "idk"][votes.fetch_add(1, Ordering::SeqCst) % 2]),
        }
    });
    let place = place("openai", &server.url(), 1, "");
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    let judge = |with: &str| {
        let stage =
            "  verdicts: { uses: judge, in: { questions: questions, answers: answers }, with: { judge: llm, model: p/first";
        fs::write(place.path("m.yaml"), format!("{manifest}{stage}, votes: 2{with} }} }}\n")).unwrap();
        assert_eq!(run(&place).status.code(), Some(0));
        place.rows(&["m.yaml", "verdicts"])[0]["verdict"].clone()
    };
    assert_eq!(judge(""), "idk", "a tie decides nothing");
    assert_eq!(server.count(), 3);
    assert_eq!(judge(", second: p/second"), "incorrect");
    assert_eq!(server.count(), 4, "the votes are known");
}
