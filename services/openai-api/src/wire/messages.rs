//! The messages of a request: roles, parts, and what of an earlier stream came back with them.

use std::collections::HashSet;

use serde_json::value::RawValue;
use t4t_json::{Change, Members};

use super::error::Rejection;
use super::fields::field;
use super::progress;
use t4t_json::{Splice, quoted};

/// Who may speak.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// The role whose messages are earlier answers.
const ASSISTANT: &str = "assistant";

/// Fields in which apps send a model's reasoning back.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Checks the messages and takes our progress out of those that are earlier answers; returns the ids of the tool calls
/// in them.
///
/// # Errors
/// The first thing that is wrong with them.
pub(crate) fn check(raw: Option<&RawValue>, splice: &mut Splice<'_>) -> Result<HashSet<String>, Rejection> {
    let raw = raw.ok_or_else(|| Rejection::missing("messages", "an array of messages"))?;
    let messages: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Rejection::wrong_type("messages", "an array of messages"))?;
    if messages.is_empty() {
        return Err(Rejection::invalid_value("messages", "it is empty, expected at least one message"));
    }
    let mut calls = HashSet::new();
    for (index, raw) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let message = Members::read(raw.get()).map_err(|_| Rejection::wrong_type(&at, "an object"))?;
        let role = check_role(&message, &at)?;
        check_content(&message, &at)?;
        calls.extend(call_ids(&message, &at)?);
        if role == ASSISTANT
            && let Some(mended) = without_progress(&message)
        {
            splice.replace(raw.get(), mended);
        }
    }
    Ok(calls)
}

fn check_role(message: &Members<'_>, at: &str) -> Result<String, Rejection> {
    let param = format!("{at}.role");
    let role: Option<String> = field(message.get("role"), &param, "a string")?;
    let role = role.ok_or_else(|| Rejection::missing(&param, "a string"))?;
    if ROLES.contains(&role.as_str()) {
        return Ok(role);
    }
    Err(Rejection::invalid_value(&param, format!("expected one of {}", ROLES.join(", "))))
}

fn check_content(message: &Members<'_>, at: &str) -> Result<(), Rejection> {
    let Some(content) = message.get("content").map(RawValue::get) else { return Ok(()) };
    let at = format!("{at}.content");
    if content.starts_with('"') {
        return Ok(());
    }
    let wrong = |_| Rejection::wrong_type(&at, "a string or an array of parts");
    let parts: Vec<&RawValue> = serde_json::from_str(content).map_err(wrong)?;
    for (index, part) in parts.into_iter().enumerate() {
        // Some apps send bare texts as parts, and backends take them.
        if part.get().starts_with('"') {
            continue;
        }
        if !part.get().starts_with('{') {
            return Err(Rejection::wrong_type(&format!("{at}[{index}]"), "an object"));
        }
    }
    Ok(())
}

fn call_ids(message: &Members<'_>, at: &str) -> Result<Vec<String>, Rejection> {
    let Some(calls) = message.get("tool_calls") else { return Ok(Vec::new()) };
    let wrong = || Rejection::wrong_type(&format!("{at}.tool_calls"), "an array of objects");
    let calls: Vec<Members<'_>> = serde_json::from_str(calls.get()).map_err(|_| wrong())?;
    let ids = calls.iter().filter_map(|call| serde_json::from_str(call.get("id")?.get()).ok());
    Ok(ids.collect())
}

/// The message without the progress that we showed before it; `None` if there is none in it. All else is as it was.
fn without_progress(message: &Members<'_>) -> Option<String> {
    let mut found = false;
    let mended = message.rewritten(
        |name, value| {
            let change = match name {
                "content" => content_without(value),
                _ if REASONING.contains(&name) => reasoning_without(value),
                _ => Change::Keep,
            };
            found |= !matches!(change, Change::Keep);
            change
        },
        [],
    );
    found.then_some(mended)
}

fn reasoning_without(value: &RawValue) -> Change {
    let Ok(text) = serde_json::from_str::<String>(value.get()) else { return Change::Keep };
    match progress::without(&text) {
        None => Change::Keep,
        Some("") => Change::Drop,
        Some(rest) => Change::Replace(quoted(rest)),
    }
}

fn content_without(value: &RawValue) -> Change {
    if let Ok(text) = serde_json::from_str::<String>(value.get()) {
        let without = progress::without_in_thoughts(&text);
        return without.map_or(Change::Keep, |rest| Change::Replace(quoted(&rest)));
    }
    let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else { return Change::Keep };
    let mended: Vec<Change> = parts.iter().map(|part| part_without(part)).collect();
    if mended.iter().all(|part| matches!(part, Change::Keep)) {
        return Change::Keep;
    }
    let kept = parts.iter().zip(mended).filter_map(|(part, mended)| match mended {
        Change::Keep => Some(part.get().to_owned()),
        Change::Replace(with) => Some(with),
        Change::Drop => None,
    });
    Change::Replace(format!("[{}]", kept.collect::<Vec<_>>().join(",")))
}

/// One part of a content without our progress.
fn part_without(part: &RawValue) -> Change {
    let Ok(members) = Members::read(part.get()) else { return Change::Keep };
    let (mut found, mut is_empty) = (false, false);
    let mended = members.rewritten(
        |name, value| {
            let Ok(text) = serde_json::from_str::<String>(value.get()) else { return Change::Keep };
            let rest = match name {
                "text" => {
                    progress::without_in_thoughts(&text).or(progress::without(&text).map(str::to_owned))
                }
                _ if REASONING.contains(&name) => progress::without(&text).map(str::to_owned),
                _ => None,
            };
            let Some(rest) = rest else { return Change::Keep };
            (found, is_empty) = (true, rest.is_empty());
            Change::Replace(quoted(&rest))
        },
        [],
    );
    match (found, is_empty) {
        (false, _) => Change::Keep,
        (true, true) => Change::Drop,
        (true, false) => Change::Replace(mended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r"t4t network:\n- provider 0x70 chosen: 1 / 2\n- the provider has begun\n";

    /// The messages as they leave.
    fn sent(messages: &str) -> String {
        let raw: &RawValue = serde_json::from_str(messages).unwrap();
        let mut splice = Splice::of(messages);
        check(Some(raw), &mut splice).unwrap();
        splice.apply().into_owned()
    }

    #[test]
    fn our_progress_does_not_go_out_again() {
        let cases = [
            (
                format!(r#"[ {{"role":"assistant", "content":"yes","reasoning_content":"{OURS}"}} ]"#),
                r#"[ {"role":"assistant","content":"yes"} ]"#,
            ),
            (
                format!(r#"[{{"reasoning":"{OURS}\nmodel reasoning:\nhm","role":"assistant","x":1.50}}]"#),
                r#"[{"reasoning":"hm","role":"assistant","x":1.50}]"#,
            ),
            (
                format!(r#"[{{"role":"assistant","content":"<think>\n{OURS}</think>\n\nyes"}}]"#),
                r#"[{"role":"assistant","content":"yes"}]"#,
            ),
            (
                format!(
                    r#"[{{"role":"assistant","content":[{{"type":"reasoning","text":"{OURS}"}},{{"type":"text","text":"yes"}}]}}]"#
                ),
                r#"[{"role":"assistant","content":[{"type":"text","text":"yes"}]}]"#,
            ),
        ];
        for (messages, expected) in cases {
            assert_eq!(sent(&messages), expected, "{messages}");
        }
    }

    #[test]
    fn what_others_said_is_sent_as_it_came() {
        for messages in [
            format!(r#"[ {{"role":"user", "content":"<think>\n{OURS}</think> what is this?"}} ]"#),
            r#"[ {"role":"assistant", "content":"<think>\nhm\n</think>\n\nyes","reasoning_content":"t4t network: what is that?"} ]"#.into(),
            format!(r#"[{{"role":"assistant", "content":"you wrote: {OURS}"}}]"#),
        ] {
            assert_eq!(sent(&messages), messages);
        }
    }

    #[test]
    fn a_role_that_nobody_knows_is_refused() {
        for role in ["User", "ipython", "model", ""] {
            let messages = format!(r#"[{{"role":"user"}},{{"role":{role:?}}}]"#);
            let raw: &RawValue = serde_json::from_str(&messages).unwrap();
            let rejection = check(Some(raw), &mut Splice::of(&messages)).unwrap_err();
            let told = (rejection.param.as_deref(), rejection.code);
            assert_eq!(told, (Some("messages[1].role"), "invalid_value"), "{role}");
        }
    }

    #[test]
    fn the_ids_of_earlier_calls_are_known() {
        let messages =
            r#"[{"role":"assistant","tool_calls":[{"id":"a"},{"id":null},{"id":"b"}]},{"role":"tool"}]"#;
        let raw: &RawValue = serde_json::from_str(messages).unwrap();
        let mut ids: Vec<_> = check(Some(raw), &mut Splice::of(messages)).unwrap().into_iter().collect();
        ids.sort();
        assert_eq!(ids, ["a", "b"]);
    }
}
