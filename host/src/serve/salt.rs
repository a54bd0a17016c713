//! Hashes that can be compared, and not be guessed.

use std::fmt;
use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Bytes of a hash that are written: enough that no two values have the same.
const HASH: usize = 12;

/// Random bytes that go before what is hashed, and that nobody is told: without
/// them, who knows a hash could try all addresses until one fits.
#[derive(Clone)]
pub(super) struct Salt(Arc<[u8; 32]>);

impl fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Salt")
    }
}

impl Salt {
    pub(super) fn random() -> io::Result<Self> {
        let mut salt = [0; 32];
        let provider = rustls::crypto::ring::default_provider();
        let filled = provider.secure_random.fill(&mut salt);
        filled.map_err(|_| io::Error::other("the system has no randomness"))?;
        Ok(Self(Arc::new(salt)))
    }

    /// A digest that has taken the salt.
    pub(super) fn digest(&self) -> Sha256 {
        Sha256::new_with_prefix(*self.0)
    }

    /// The hash of a value.
    pub(super) fn hash(&self, value: impl AsRef<[u8]>) -> String {
        let digest = self.digest().chain_update(value).finalize();
        hex(digest.get(..HASH).unwrap_or_default())
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
