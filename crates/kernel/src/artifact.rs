//! Trained things that policies use, beside the plan that names them: factors, trees, models of sequences. They are immutable and named by the
//! hash of their bytes, so a decision that records its plan records them too.

use crate::codec;
use crate::factors::Factors;
use crate::plan::{ArtifactKind, ScenePlan};
use crate::sequence::SequenceModel;
use crate::trees::Ensemble;
use std::sync::Arc;

/// Longest encoded artifact, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 256 << 20;

/// A trained thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Artifact {
    /// Factors.
    Factors(Arc<Factors>),
    /// Gradient-boosted trees.
    Trees(Ensemble),
    /// A model of sequences.
    Sequence(Arc<SequenceModel>),
}

impl Artifact {
    /// Its kind.
    pub fn kind(&self) -> ArtifactKind {
        match self {
            Self::Factors(_) => ArtifactKind::Factors,
            Self::Trees(_) => ArtifactKind::Trees,
            Self::Sequence(_) => ArtifactKind::Sequence,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Factors(f) => f.encode(),
            Self::Trees(t) => t.encode(),
            Self::Sequence(s) => s.encode(),
        }
    }

    /// Decodes what [`Artifact::encode`] wrote.
    ///
    /// # Errors
    /// As [`codec::Reader`]'s.
    pub fn decode(kind: ArtifactKind, bytes: &[u8]) -> codec::Result<Self> {
        Ok(match kind {
            ArtifactKind::Factors => Self::Factors(Arc::new(Factors::decode(bytes)?)),
            ArtifactKind::Trees => Self::Trees(Ensemble::decode(bytes)?),
            ArtifactKind::Sequence => Self::Sequence(Arc::new(SequenceModel::decode(bytes)?)),
        })
    }

    /// SHA-256 of artifact bytes as plans write it: 64 hexadecimal digits.
    pub fn hash(bytes: &[u8]) -> String {
        use core::fmt::Write;
        use sha2::Digest;
        (sha2::Sha256::digest(bytes).iter()).fold(String::with_capacity(64), |mut out, b| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{b:02x}");
            out
        })
    }
}

/// The artifacts of a scene, in the order of [`ScenePlan::artifacts`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Artifacts {
    list: Vec<Arc<Artifact>>,
}

/// Why artifacts do not belong to a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another number of them.
    #[error("the plan names {wanted} artifacts, {found} were given")]
    Number {
        /// Named.
        wanted: usize,
        /// Given.
        found: usize,
    },
    /// Other bytes.
    #[error(
        "artifact `{name}` has the hash {found}, the plan names {wanted}; give the bytes that the plan was made with"
    )]
    Hash {
        /// Artifact.
        name: String,
        /// Named.
        wanted: String,
        /// Given.
        found: String,
    },
    /// Unreadable bytes.
    #[error("artifact `{name}`: {cause}")]
    Unreadable {
        /// Artifact.
        name: String,
        /// Why.
        cause: codec::Error,
    },
}

/// Of a scene that uses none.
pub static NONE: Artifacts = Artifacts { list: Vec::new() };

impl Artifacts {
    /// Reads the artifacts that `plan` names from their bytes, in its order.
    ///
    /// # Errors
    /// [`Error`], for the first that is not what the plan names.
    pub fn read<B: AsRef<[u8]>>(plan: &ScenePlan, bytes: &[B]) -> Result<Self, Error> {
        if bytes.len() != plan.artifacts.len() {
            return Err(Error::Number {
                wanted: plan.artifacts.len(),
                found: bytes.len(),
            });
        }
        let one = |(named, bytes): (&crate::plan::ArtifactPlan, &B)| {
            let found = Artifact::hash(bytes.as_ref());
            if found != named.sha256 {
                return Err(Error::Hash {
                    name: named.name.clone(),
                    wanted: named.sha256.clone(),
                    found,
                });
            }
            let read = Artifact::decode(named.kind, bytes.as_ref());
            read.map(Arc::new).map_err(|cause| Error::Unreadable {
                name: named.name.clone(),
                cause,
            })
        };
        let list = plan
            .artifacts
            .iter()
            .zip(bytes)
            .map(one)
            .collect::<Result<_, _>>()?;
        Ok(Self { list })
    }

    /// Those given, in the plan's order, whatever their hashes.
    pub fn of(list: impl IntoIterator<Item = Artifact>) -> Self {
        Self {
            list: list.into_iter().map(Arc::new).collect(),
        }
    }

    /// The factors of this index.
    pub fn factors(&self, index: u16) -> Option<&Arc<Factors>> {
        match self.list.get(usize::from(index)).map(AsRef::as_ref) {
            Some(Artifact::Factors(f)) => Some(f),
            _ => None,
        }
    }

    /// The model of sequences of this index.
    pub fn sequence(&self, index: u16) -> Option<&SequenceModel> {
        match self.list.get(usize::from(index)).map(AsRef::as_ref) {
            Some(Artifact::Sequence(model)) => Some(model),
            _ => None,
        }
    }

    /// The artifact of this index, when it is trees.
    pub fn trees(&self, index: u16) -> Option<Arc<Artifact>> {
        (self.list.get(usize::from(index)))
            .filter(|a| a.kind() == ArtifactKind::Trees)
            .cloned()
    }
}
