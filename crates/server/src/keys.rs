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

/// Makes and records a key of this name; answers the secret, which is kept nowhere.
///
/// # Errors
/// A name that is not 1 to 64 letters, digits, `-`, `_`, `.`, or that a key has already; the control plane's errors.
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
    if control.api_keys().await?.iter().any(|k| k.name == name) {
        return Err(Problem::new(
            "command_line",
            format!(
                "there is a key `{name}` already, and whoever uses it would be locked out; name another, or remove it first with `luopan key remove {name}`"
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
    audit(control, "key.create", name, at).await?;
    Ok(secret)
}

/// Removes the key of this name: it opens nothing any more. Answers the names that are left.
///
/// # Errors
/// There is no key of this name; the control plane's errors.
pub async fn remove(control: &dyn Control, name: &str, at: Micros) -> Result<Vec<String>> {
    let removed = control.remove_api_key(name).await?;
    let left: Vec<String> = (control.api_keys().await?.into_iter())
        .map(|k| k.name)
        .collect();
    if !removed {
        return Err(Problem::new(
            "command_line",
            format!(
                "there is no key `{name}`; {}",
                if left.is_empty() {
                    "there is none at all".to_owned()
                } else {
                    format!("there are {}", left.join(", "))
                }
            ),
        ));
    }
    audit(control, "key.remove", name, at).await?;
    Ok(left)
}

async fn audit(control: &dyn Control, action: &str, name: &str, at: Micros) -> Result<()> {
    let record = luopan_store::AuditRecord {
        at,
        by: "cli".into(),
        action: action.into(),
        detail: serde_json::json!({ "name": name }).to_string(),
    };
    Ok(control.audit(record).await?)
}

/// What is wrong with the file of the first key, when whoever reads it would not be let in.
///
/// # Errors
/// The control plane's.
pub async fn file_fault(control: &dyn Control, data: &Path) -> Result<Option<String>> {
    let path = file(data);
    let make = "`luopan key create NAME` makes another key, while the server is stopped";
    let secret = match std::fs::read_to_string(&path) {
        Ok(secret) => secret,
        Err(e) => {
            return Ok(Some(format!(
                "no key can be read from {} ({e}); {make}",
                path.display()
            )));
        }
    };
    let keys = Keys::new(control.api_keys().await?);
    Ok(keys.name(secret.trim()).is_none().then(|| {
        format!(
            "the key in {} opens nothing any more; {make}",
            path.display()
        )
    }))
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
