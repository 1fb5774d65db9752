//! The record of a decision: everything needed to make it again and to compare. It is stored as JSON behind a format byte, so
//! that it can be read without this program, and it must never hold a foreign id.

use crate::decide::{Contact, Decision, Request, Situation};
use crate::catalogue::Catalogue;
use crate::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId};
use crate::learn::ModelState;
use crate::plan::ScenePlan;
use crate::slots::CustomerSlots;
use crate::time::Micros;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// Newest format of a decision record.
pub const RECORD_FORMAT: u8 = 1;

/// Why record bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No bytes, or a format of zero.
    #[error("the decision record is empty or has no format number; it was not written by this program")]
    NoFormat,
    /// Written by a newer program.
    #[error("the decision record has format {found}, this program reads up to {RECORD_FORMAT}; use a newer program")]
    Newer {
        /// Format found.
        found: u8,
    },
    /// Not a record.
    #[error("the decision record cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Which model a decision used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsed {
    /// Name.
    pub name: String,
    /// Version: samples consumed.
    pub version: u64,
}

/// What names a request for idempotency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Hash of the caller's key, hexadecimal.
    pub key_hash: String,
    /// Hash of the request as received, hexadecimal.
    pub body_hash: String,
}

/// A decision record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// [`crate::SEMANTICS`] of the kernel that decided.
    pub semantics: u32,
    /// Tenant.
    pub tenant: TenantId,
    /// Scene.
    pub scene: SceneNo,
    /// Its version.
    pub scene_version: u32,
    /// SHA-256 of its plan, 64 hexadecimal digits.
    pub plan_hash: String,
    /// Policy.
    pub policy: String,
    /// Version of the catalogue: position of the environment partition.
    pub catalogue_version: u64,
    /// Model, when the policy has one.
    pub model: Option<ModelUsed>,
    /// The request: decision id, customer, moment, origin.
    pub request: Request,
    /// Identifier that the request named.
    pub identifier: IdentifierId,
    /// Linked identifiers whose profiles and contacts were seen, ascending.
    pub identifiers: Vec<IdentifierId>,
    /// Request context, ascending by name.
    pub context: Vec<(String, Value<'static>)>,
    /// Idempotency key, when the caller gave one.
    pub idempotency: Option<Idempotency>,
    /// Seed.
    pub seed: u64,
    /// Log position that State had seen, one a partition that was read, ascending.
    pub positions: Vec<(PartitionId, Position)>,
    /// Contacts that any gate of the policy could count, ascending by time.
    pub contacts: Vec<Contact>,
    /// Spent per budget of the scene when it was decided.
    pub spent: Vec<i64>,
    /// Number of the attempt that was committed, from 1.
    pub attempt: u32,
    /// Why the commit withheld the choice for good; none when it stands.
    pub withheld: Option<String>,
    /// The intent may not be sent after this.
    pub valid_until: Micros,
    /// The decision.
    pub decision: Decision,
}

impl DecisionRecord {
    /// Encodes the record: format byte, then JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![RECORD_FORMAT];
        // A record holds no map with keys other than text and no number that is not finite, so this cannot fail.
        if serde_json::to_writer(&mut out, self).is_err() {
            out.truncate(1);
        }
        out
    }

    /// Decodes what [`DecisionRecord::encode`] wrote.
    ///
    /// # Errors
    /// [`Error`]; a newer format is refused before anything else is looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            None | Some((0, _)) => Err(Error::NoFormat),
            Some((found, _)) if *found > RECORD_FORMAT => Err(Error::Newer { found: *found }),
            Some((_, json)) => Ok(serde_json::from_slice(json)?),
        }
    }
}
