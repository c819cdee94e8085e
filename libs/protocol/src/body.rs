//! What envelopes carry: the three messages of version 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use t4t_types::{EncryptionKey, ModelId, Overlay, RoutingId, SwarmRef, UnixSeconds, Xbzz};

use crate::FieldError;
use crate::fields::Fields;
use t4t_json::canonical::JsonObject;

/// The messages of version 1, by their name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// `job_notify`: a gateway tells a provider of a job it posted.
    JobNotify,
    /// `job_ack`: the provider has seen it.
    JobAck,
    /// `job_deliver`: the provider has stored the answer.
    JobDeliver,
}

/// A message that came in an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A job for us.
    JobNotify(JobNotify),
    /// A provider has seen our job.
    JobAck(JobAck),
    /// A provider has stored the answer to our job.
    JobDeliver(JobDeliver),
    /// A message this version does not know, by its name. Ignored.
    Unknown(String),
}

/// A gateway tells a provider of a job it posted, and where to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobNotify {
    /// The job, as messages name it: [`SwarmRef::routing_id`] of `request_hash`.
    #[serde(rename = "jobId")]
    pub routing_id: RoutingId,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// The model asked for.
    pub model_id: ModelId,
    /// What is in escrow, if the chain agrees.
    pub max_payment: Xbzz,
    /// When the job must be claimed.
    pub delivery_deadline: UnixSeconds,
    /// What to seal the answer to.
    #[serde(rename = "clientPssPubKey")]
    pub client_key: EncryptionKey,
    /// Where in Swarm the gateway's node is; zeros if the gateway does not know.
    #[serde(rename = "clientSwarmOverlay")]
    pub client_overlay: Overlay,
    /// Where to post the answer's envelopes over HTTP first. A peer's word: check it before dialling.
    #[serde(rename = "clientReplyUrl", default, skip_serializing_if = "Option::is_none")]
    pub reply_url: Option<String>,
    /// Extensions; peers that don't know them pass over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext: Option<Value>,
}

/// A provider has seen a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAck {
    /// The job, as messages name it.
    #[serde(rename = "jobId")]
    pub routing_id: RoutingId,
    /// When the provider expects to have the answer.
    pub estimated_completion: UnixSeconds,
    /// Extensions; peers that don't know them pass over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext: Option<Value>,
}

/// A provider has stored the answer to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDeliver {
    /// The job, as messages name it.
    #[serde(rename = "jobId")]
    pub routing_id: RoutingId,
    /// Where the sealed answer lies.
    pub response_hash: SwarmRef,
    /// Extensions; peers that don't know them pass over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext: Option<Value>,
}

impl MessageKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobNotify => "job_notify",
            Self::JobAck => "job_ack",
            Self::JobDeliver => "job_deliver",
        }
    }
}

impl Message {
    /// Reads the body of a message of this name.
    pub(crate) fn read(name: &str, body: &JsonObject) -> Result<Self, FieldError> {
        let fields = Fields(body);
        match name {
            "job_notify" => JobNotify::read(fields).map(Self::JobNotify),
            "job_ack" => JobAck::read(fields).map(Self::JobAck),
            "job_deliver" => JobDeliver::read(fields).map(Self::JobDeliver),
            _ => Ok(Self::Unknown(name.to_owned())),
        }
    }
}

impl JobNotify {
    fn read(fields: Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            routing_id: fields.parsed("jobId", BYTES32)?,
            request_hash: fields.parsed("requestHash", BYTES32)?,
            model_id: fields.parsed("modelId", "a model's name")?,
            max_payment: payment(fields)?,
            delivery_deadline: fields.time("deliveryDeadline")?,
            client_key: fields.parsed("clientPssPubKey", BYTES32)?,
            client_overlay: fields.parsed("clientSwarmOverlay", BYTES32)?,
            reply_url: fields.optional_text("clientReplyUrl")?,
            ext: extensions(fields)?,
        })
    }
}

impl JobAck {
    fn read(fields: Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            routing_id: fields.parsed("jobId", BYTES32)?,
            estimated_completion: fields.time("estimatedCompletion")?,
            ext: extensions(fields)?,
        })
    }
}

impl JobDeliver {
    fn read(fields: Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            routing_id: fields.parsed("jobId", BYTES32)?,
            response_hash: fields.parsed("responseHash", BYTES32)?,
            ext: extensions(fields)?,
        })
    }
}

const BYTES32: &str = "32 bytes in hexadecimal";

/// `maxPayment` is a decimal string of PLUR; the text form of [`Xbzz`] is xBZZ and would be wrong here.
fn payment(fields: Fields<'_>) -> Result<Xbzz, FieldError> {
    let refused = FieldError { field: "maxPayment", expected: "a decimal string of PLUR" };
    let text = fields.text(refused.field)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused);
    }
    text.parse().map(Xbzz::from_plur).map_err(|_| refused)
}

fn extensions(fields: Fields<'_>) -> Result<Option<Value>, FieldError> {
    let refused = FieldError { field: "ext", expected: "JSON of valid Unicode" };
    fields.optional("ext").map(|ext| ext.to_value().ok_or(refused)).transpose()
}
