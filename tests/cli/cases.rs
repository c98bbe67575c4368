//! Cases as a student solves them.

use super::Desk;
use serde_json::json;

#[test]
fn a_case_tells_what_was_asked_for_and_judges_the_cause_before_it_asks_for_a_cure() {
    let desk = Desk::new();
    let told = desk.run("case service-is-slow");
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.contains("You have 30 minutes") && !told.out.contains("      > "), "{}", told.out);
    assert!(!told.out.contains("bulkhead") && !told.out.contains("audit records slow"), "{}", told.out);
    let asked = desk.run("case service-is-slow --ask 2,3");
    assert_eq!(asked.out.matches("      > ").count(), 2, "{}", asked.out);
    assert!(asked.out.ends_with("Name the cause with: schism case service-is-slow --seed 0 --ask 2,3 --cause a\n"));
    let wrong = desk.run("case service-is-slow --ask 2,3 --cause b");
    assert!(
        wrong.out.contains("The cause: b, not so: it is c.") && wrong.out.contains("20 of 30 minutes"),
        "{}",
        wrong.out
    );
    assert!(wrong.out.contains("What do you do") && !wrong.out.contains("It was run"), "{}", wrong.out);
    let solved = desk.run("case service-is-slow --cause c --cure b");
    assert!(solved.out.contains("The cure: b, right: it is b."), "{}", solved.out);
    assert!(solved.out.contains("fast calls served in time 100.0 %, which is enough"), "{}", solved.out);
}

#[test]
fn a_script_gets_the_same_as_lines() {
    let desk = Desk::new();
    let ran = desk.run("case dns-is-slow --seed 4 --ask 3 --cause a --cure d --format json");
    let [case, cause, cure] = &ran.lines()[..] else { panic!("{}", ran.out) };
    let finds: Vec<bool> =
        case["inquiries"].as_array().unwrap().iter().map(|inquiry| inquiry["finds"].is_string()).collect();
    assert_eq!(finds, [false, false, true, false, false, false]);
    assert_eq!((&cause["cause"]["right"], &cause["minutes"]), (&json!(false), &json!(10)));
    assert_eq!((&cure["cure"]["solution"], &cure["tried"]), (&json!("c"), &json!(null)));
    assert_eq!(desk.run("case dns-is-slow --seed 4 --cause a --cure d --format json").last()["digest"], cure["digest"]);
}

#[test]
fn what_cannot_be_is_refused_with_what_is_allowed() {
    let desk = Desk::new();
    for (code, arguments, part) in [
        (65, "dns-is-slo", "did you mean `dns-is-slow`?"),
        (64, "dns-is-slow --ask 1,2,3,4,5", "asking for all that takes 40 minutes; leave something out: there are 30"),
        (64, "dns-is-slow --ask 9", "allowed: 1 to 6"),
        (64, "dns-is-slow --ask x", "invalid digit"),
        (64, "dns-is-slow --cause z", "allowed: a, b, c"),
        (64, "dns-is-slow --cure a", "--cause"),
    ] {
        let ran = desk.run(&format!("case {arguments}"));
        assert_eq!(ran.code, code, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(part), "{arguments}: {}", ran.err);
    }
}
