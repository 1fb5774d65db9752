//! Reading the trained files of a pack: Luopan's own forms, and those of others that `learning` knows.

use luopan_kernel::artifact::Artifact;
use luopan_kernel::plan::ArtifactKind;

/// Reads an artifact of this kind, or says what is wrong with the bytes. LightGBM's text model is known by its first word.
pub(crate) fn decode(kind: ArtifactKind, bytes: &[u8]) -> Result<Artifact, String> {
    if kind == ArtifactKind::Trees && bytes.starts_with(b"tree") {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("it is not UTF-8: {e}"))?;
        let trees = luopan_learning::lightgbm::parse(text).map_err(|e| e.to_string())?;
        return Ok(Artifact::Trees(trees));
    }
    Artifact::decode(kind, bytes).map_err(|e| e.to_string())
}
