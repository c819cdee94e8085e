//! Tags: how far an upload has come. Here everything is everywhere at once.

use std::collections::BTreeMap;

use serde::Serialize;
use t4t_types::SwarmRef;

/// Most tags kept; the oldest go first.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Tags {
    all: BTreeMap<u64, Tag>,
    last: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tag {
    pub(crate) split: u64,
    pub(crate) seen: u64,
    pub(crate) stored: u64,
    pub(crate) sent: u64,
    pub(crate) synced: u64,
    pub(crate) uid: u64,
    pub(crate) address: String,
    pub(crate) started_at: String,
}

impl Tags {
    pub(crate) fn create(&mut self, started_at: String) -> Tag {
        self.last += 1;
        let (uid, address) = (self.last, String::new());
        let tag = Tag { split: 0, seen: 0, stored: 0, sent: 0, synced: 0, uid, address, started_at };
        self.all.insert(uid, tag.clone());
        while self.all.len() > KEPT {
            self.all.pop_first();
        }
        tag
    }

    /// Counts chunks that were uploaded under a tag; an unknown tag counts nothing.
    pub(crate) fn count(&mut self, uid: u64, chunks: u64, root: Option<SwarmRef>) {
        let Some(tag) = self.all.get_mut(&uid) else { return };
        for counter in [&mut tag.split, &mut tag.stored, &mut tag.sent, &mut tag.synced] {
            *counter += chunks;
        }
        tag.address = root.map_or_else(|| std::mem::take(&mut tag.address), |root| root.to_string());
    }

    pub(crate) fn get(&self, uid: u64) -> Option<&Tag> {
        self.all.get(&uid)
    }

    pub(crate) fn remove(&mut self, uid: u64) -> bool {
        self.all.remove(&uid).is_some()
    }

    pub(crate) fn list(&self, offset: usize, limit: usize) -> Vec<Tag> {
        self.all.values().skip(offset).take(limit).cloned().collect()
    }
}
