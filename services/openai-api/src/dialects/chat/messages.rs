//! The messages of a request: roles, parts, and what of an earlier stream came back with them.

use serde_json::value::RawValue;
use t4t_inference::{MessageShape, Reading, Role};
use t4t_json::{Change, JsonKind, Members, Splice, quoted};

use super::progress;
use crate::wire::error::Rejection;

/// The role whose messages are earlier answers.
const ASSISTANT: &str = "assistant";

/// Fields in which apps send a model's reasoning back.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Checks the messages and takes our progress out of those that are earlier answers.
///
/// # Errors
/// The first thing that is wrong with them.
pub(crate) fn check<'a>(reading: &'a Reading, splice: &mut Splice<'a>) -> Result<(), Rejection> {
    let expected = "an array of messages";
    let kind = reading.layout().get("messages").map(|messages| messages.kind);
    match kind {
        None | Some(JsonKind::Null) => return Err(Rejection::missing("messages", expected)),
        Some(JsonKind::Array) => {}
        Some(_) => return Err(Rejection::wrong_type("messages", expected)),
    }
    if reading.messages().is_empty() {
        return Err(Rejection::invalid_value("messages", "it is empty, expected at least one message"));
    }
    for (index, message) in reading.messages().iter().enumerate() {
        let role = check_shape(message, index)?;
        let text = &reading.text()[message.span.clone()];
        // Most answers hold no progress; only those that do are read once more.
        if role == ASSISTANT
            && text.contains(progress::TITLE)
            && let Some(without) = Members::read(text).ok().and_then(|message| without_progress(&message))
        {
            splice.replace(text, without);
        }
    }
    Ok(())
}

/// Checks one message; returns who speaks.
fn check_shape(message: &MessageShape, index: usize) -> Result<&'static str, Rejection> {
    let at = |field: &str| format!("messages[{index}]{field}");
    if message.kind != JsonKind::Object {
        return Err(Rejection::wrong_type(&at(""), "an object"));
    }
    let role = match message.role {
        Some(Role::Known(role)) => role,
        Some(Role::Unknown) => {
            let expected = format!("expected one of {}", Role::NAMES.join(", "));
            return Err(Rejection::invalid_value(&at(".role"), expected));
        }
        Some(Role::NoText) => return Err(Rejection::wrong_type(&at(".role"), "a string")),
        None => return Err(Rejection::missing(&at(".role"), "a string")),
    };
    if !matches!(message.content, None | Some(JsonKind::Text | JsonKind::Array)) {
        return Err(Rejection::wrong_type(&at(".content"), "a string or an array of parts"));
    }
    if let Some(part) = message.odd_part {
        return Err(Rejection::wrong_type(&at(&format!(".content[{part}]")), "an object"));
    }
    if message.has_odd_calls {
        return Err(Rejection::wrong_type(&at(".tool_calls"), "an array of objects"));
    }
    Ok(role)
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

    fn reading(messages: &str) -> Reading {
        Reading::of(format!(r#"{{"messages":{messages}}}"#).into()).unwrap()
    }

    /// The messages as they leave.
    fn sent(messages: &str) -> String {
        let reading = reading(messages);
        let mut splice = Splice::of(reading.text());
        check(&reading, &mut splice).unwrap();
        let sent = splice.apply();
        sent.strip_prefix(r#"{"messages":"#).and_then(|sent| sent.strip_suffix('}')).unwrap().to_owned()
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
            let reading = reading(&messages);
            let rejection = check(&reading, &mut Splice::of(reading.text())).unwrap_err();
            let told = (rejection.param.as_deref(), rejection.code);
            assert_eq!(told, (Some("messages[1].role"), "invalid_value"), "{role}");
        }
    }

    #[test]
    fn the_ids_of_earlier_calls_are_known() {
        let messages =
            r#"[{"role":"assistant","tool_calls":[{"id":"a"},{"id":null},{"id":"b"}]},{"role":"tool"}]"#;
        let reading = reading(messages);
        let mut ids: Vec<_> = reading.call_ids().iter().collect();
        ids.sort();
        assert_eq!(ids, ["a", "b"]);
    }
}
