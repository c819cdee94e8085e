//! The tool calls of one choice, put together from the fragments that a stream brings.
//!
//! OpenAI gives each call an index and, in its first fragment, an id and a name. Backends leave out any of them, give
//! two calls one index, one call many ids, repeat the name, or send a call whole. What a fragment belongs to is decided
//! by what it brings: a name begins a call unless it repeats that of a call that is not complete, and arguments go to a
//! call that still lacks some.

mod call;
mod fragment;

use serde_json::Value;

use super::size::DeltaSize;
use call::ToolCall;

pub(super) use fragment::{Fragment, Fragments, FunctionPart};

/// More calls than any answer has.
const MAX_CALLS: usize = 1024;

/// Bytes of a made-up id: unique over a conversation, and over all of them.
const ID_BYTES: usize = 12;

/// More calls than [`MAX_CALLS`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyCalls;

/// The calls in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct ToolCalls(Vec<ToolCall>);

impl ToolCalls {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.iter().any(ToolCall::is_call)
    }

    /// Takes the `tool_calls` of a delta or of a whole message; returns the bytes that they grew by beside what is
    /// measured into `size`.
    pub(super) fn merge(
        &mut self,
        fragments: Vec<Fragment<'_>>,
        size: &mut DeltaSize,
    ) -> Result<usize, TooManyCalls> {
        let mut grown = 0;
        for (position, fragment) in fragments.into_iter().enumerate() {
            let before = self.0.len();
            let call = self.call_of(&fragment, position > 0);
            grown += call.merge(fragment, size);
            size.new_tool_calls += u64::from(self.0.len() > before);
            if self.0.len() > MAX_CALLS {
                return Err(TooManyCalls);
            }
        }
        Ok(grown)
    }

    /// The call that a fragment belongs to; `follows` if the fragment before it, in the same delta, was for the last call.
    fn call_of(&mut self, fragment: &Fragment<'_>, follows: bool) -> &mut ToolCall {
        let is_nameless = fragment.name().is_empty();
        let known = if is_nameless { self.continued(fragment) } else { self.repeated(fragment, follows) };
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            // An index that is taken says nothing.
            let is_taken = self.0.iter().any(|call| call.index.is_some() && call.index == fragment.index);
            self.0.push(ToolCall::new(fragment.index.filter(|_| !is_taken)));
        }
        let call = &mut self.0[at];
        if call.index.is_none() && known.is_some() && is_nameless {
            call.index = fragment.index;
        }
        call
    }

    fn with_id(&self, id: Option<&str>) -> Option<usize> {
        id.and_then(|id| self.0.iter().rposition(|call| call.id.as_deref() == Some(id)))
    }

    fn with_index(&self, index: u64) -> Option<usize> {
        self.0.iter().rposition(|call| call.index == Some(index))
    }

    /// The call that a fragment with a name goes on with, if it begins none.
    fn repeated(&self, fragment: &Fragment<'_>, follows: bool) -> Option<usize> {
        if let Some(same) = self.with_id(fragment.id.as_deref()) {
            // Some give all of their calls one id.
            let call = &self.0[same];
            let is_another = !call.goes_on_with(fragment.name())
                || (fragment.index.is_some() && call.index.is_some() && call.index != fragment.index);
            return (!is_another).then_some(same);
        }
        let at = match fragment.index {
            Some(index) => self.with_index(index)?,
            // Of two in one delta each is a call of its own.
            None if follows => return None,
            None => self.0.len().checked_sub(1)?,
        };
        let call = &self.0[at];
        let is_its_own = match (&call.id, &fragment.id) {
            // Another id for the same index is another call, unless the first lacks its end.
            (Some(_), Some(_)) => !call.has_no_arguments() && call.lacks_arguments(),
            _ => fragment.index.is_some() || call.lacks_arguments(),
        };
        (is_its_own && call.goes_on_with(fragment.name())).then_some(at)
    }

    /// The call that a fragment without a name goes on with.
    fn continued(&self, fragment: &Fragment<'_>) -> Option<usize> {
        let last = self.0.len().checked_sub(1)?;
        if let Some(same) = self.with_id(fragment.id.as_deref()) {
            return Some(same);
        }
        let Some(index) = fragment.index else { return Some(last) };
        match self.with_index(index) {
            // The call of that index has all it needs, and the last one does not.
            Some(named)
                if named != last && !self.0[named].lacks_arguments() && self.0[last].lacks_arguments() =>
            {
                Some(last)
            }
            Some(named) => Some(named),
            // Nobody has that index: it is the call whose own was taken, or the head has not come.
            None => self
                .0
                .iter()
                .rposition(|call| call.index.is_none())
                .or_else(|| (fragment.id.is_none() && self.0[last].lacks_arguments()).then_some(last)),
        }
    }

    /// The calls as a message holds them, each with an id of its own, a type and its arguments as one text.
    pub(super) fn into_json(self) -> Value {
        let mut ids: Vec<String> = Vec::new();
        let calls = self.0.into_iter().filter(ToolCall::is_call);
        calls
            .map(|mut call| {
                let id = call.id.take().filter(|id| !ids.contains(id)).unwrap_or_else(made_up_id);
                ids.push(id.clone());
                call.into_json(id)
            })
            .collect()
    }
}

fn made_up_id() -> String {
    let mut bytes = [0; ID_BYTES];
    // Without a source of chance the whole program can do nothing; here the text of an answer is at stake, no key.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random numbers; a tool call's id may be there twice");
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("call_{digits}")
}

#[cfg(test)]
mod tests;
