//! What is asked of the members of a request's objects.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::RequestFault;
use t4t_json::Members;

/// Reads an object of a request.
pub(super) fn read(object: &RawValue) -> Result<Members<'_>, RequestFault> {
    Members::read(object.get()).map_err(|error| RequestFault::unreadable(&error))
}

/// Whether it is a message with a role and a text, and no more.
pub(super) fn is_plain(message: &Members<'_>) -> bool {
    let is_text = |value: &RawValue| value.get().starts_with('"');
    message.iter().all(|(name, value)| matches!(name, "role" | "content") && is_text(value))
}

/// Refuses a name that is there twice.
pub(super) fn refuse_twice(members: &Members<'_>, at: &str) -> Result<(), RequestFault> {
    let mut seen = HashSet::with_capacity(members.len());
    match members.iter().find(|(name, _)| !seen.insert(*name)) {
        None => Ok(()),
        Some((name, _)) => {
            let problem = format!("{at}{name} is given twice: write it once");
            Err(RequestFault::new(format!("{at}{name}"), "ambiguous_parameter", problem))
        }
    }
}
