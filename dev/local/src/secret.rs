//! Random secrets that stay on this machine.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// `BYTES` random bytes from the system's source, as twice as many hexadecimal digits.
///
/// # Errors
///
/// When `/dev/urandom` can't be read.
pub fn random<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0_u8; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// The secret kept in `file`, which is made with a new one of `BYTES` random bytes, readable by its owner
/// only, the first time.
///
/// # Errors
///
/// When the file can be neither read nor written.
pub fn kept_in<const BYTES: usize>(file: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(file)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let secret = random::<BYTES>()?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| writeln!(opened, "{secret}"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(secret)
}
