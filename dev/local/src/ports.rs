//! Free ports on the loopback interface.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result};

/// A port on 127.0.0.1 that nobody listened on a moment ago. Somebody may take it before the caller
/// does, so whoever binds it must be ready to ask again.
///
/// # Errors
///
/// When the system hands out no port.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Whether a server could listen on 127.0.0.1 at `port` now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The port noted in `file` if it is still free, else a new one. [`remember`] notes it.
///
/// # Errors
///
/// When the system hands out no port.
pub fn remembered_or_free(file: &Path) -> Result<u16> {
    match remembered(file) {
        Some(port) if is_free(port) => Ok(port),
        _ => free_port(),
    }
}

/// The port noted in `file`, if any.
#[must_use]
pub fn remembered(file: &Path) -> Option<u16> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Notes `port` in `file`, so that the next start uses the same address.
///
/// # Errors
///
/// When the file can't be written.
pub fn remember(file: &Path, port: u16) -> Result<()> {
    fs::write(file, format!("{port}\n")).with_context(|| format!("cannot write {}", file.display()))
}
