//! API keys: made here, shown once, kept as SHA-256. A key has 256 random bits, so a plain hash is enough; comparing takes
//! the same time wherever two hashes first differ.

use crate::problem::{Problem, Result};
use luopan_kernel::time::Micros;
use luopan_store::{ApiKey, Control};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

/// Name of the key made at first start.
pub const FIRST_KEY: &str = "first";
/// Longest name of a key in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The file in the data folder that holds the first key, readable by its owner alone.
#[must_use]
pub fn file(data: &Path) -> PathBuf {
    data.join("api-key")
}

/// A fresh secret: `luopan_` and 64 hexadecimal digits.
///
/// # Errors
/// The operating system gave no random bytes.
pub fn secret() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Problem::internal(format!("drawing a key failed: {e}")))?;
    Ok(format!("luopan_{}", hex::encode(bytes)))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Makes and records a key of this name; answers the secret, which is kept nowhere. The same name gets a new secret and
/// the old one stops working.
///
/// # Errors
/// A name that is not 1 to 64 letters, digits, `-`, `_`, `.`; the control plane's errors.
pub async fn create(control: &dyn Control, name: &str, at: Micros) -> Result<String> {
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        return Err(Problem::new(
            "command_line",
            format!(
                "`{name}` is no name of a key; write 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`"
            ),
        ));
    }
    let secret = secret()?;
    let key = ApiKey {
        name: name.to_owned(),
        hash: hash(&secret),
        at,
    };
    control.put_api_key(key).await?;
    control
        .audit(luopan_store::AuditRecord {
            at,
            by: "cli".into(),
            action: "key.create".into(),
            detail: serde_json::json!({ "name": name }).to_string(),
        })
        .await?;
    Ok(secret)
}

/// Makes the first key when there is none, and leaves it in [`file()`]. Answers the secret when it was made now.
///
/// # Errors
/// The control plane's; a file that cannot be written.
pub async fn ensure_first(
    control: &dyn Control,
    data: &Path,
    at: Micros,
) -> Result<Option<String>> {
    if !control.api_keys().await?.is_empty() {
        return Ok(None);
    }
    // The file first: a crash between the two leaves a key that opens nothing, and the next start makes another.
    let secret = secret()?;
    write_private(&file(data), &secret)?;
    control
        .put_api_key(ApiKey {
            name: FIRST_KEY.into(),
            hash: hash(&secret),
            at,
        })
        .await?;
    Ok(Some(secret))
}

fn write_private(path: &Path, secret: &str) -> Result<()> {
    let fault = |e: std::io::Error| {
        Problem::new(
            "data_unusable",
            format!("writing {} failed: {e}", path.display()),
        )
    };
    if path.exists() {
        std::fs::remove_file(path).map_err(fault)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(fault)?;
    writeln!(file, "{secret}").map_err(fault)?;
    file.sync_all().map_err(fault)
}

/// The keys that open this server.
#[derive(Debug, Default)]
pub struct Keys(Vec<ApiKey>);

impl Keys {
    /// The keys as recorded.
    #[must_use]
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(keys)
    }

    /// Name of the key with this secret.
    #[must_use]
    pub fn name(&self, secret: &str) -> Option<&str> {
        let given = hash(secret);
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&given)) {
                found = Some(key.name.as_str());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_and_another_does_not() {
        let secret = secret().unwrap();
        let keys = Keys::new(vec![ApiKey {
            name: "a".into(),
            hash: hash(&secret),
            at: Micros(0),
        }]);
        assert_eq!(keys.name(&secret), Some("a"));
        assert_eq!(keys.name("luopan_"), None);
        assert_eq!(secret.len(), 7 + 64);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        write_private(&path, "x").unwrap();
        write_private(&path, "y").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "y\n");
    }
}
