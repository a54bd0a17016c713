//! Bodies that do not compress, do not repeat and need not be kept.

use std::io;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::wire::{Body, Wire};

/// A sequence of bytes that follows from its seed.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
    left: u64,
}

/// What there is to say of a body without keeping it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Bytes.
    pub length: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A digest in the making.
#[derive(Clone, Default)]
pub struct Digester {
    length: u64,
    hash: Sha256,
}

impl Noise {
    /// So many bytes.
    pub fn new(seed: u64, length: u64) -> Self {
        Self {
            state: seed,
            left: length,
        }
    }

    /// What remains of it, without producing it.
    pub fn length(&self) -> u64 {
        self.left
    }

    /// What a faultless transfer of it comes to.
    pub fn digest(self) -> Digest {
        let mut digester = Digester::default();
        self.for_each(|chunk| digester.update(&chunk));
        digester.finish()
    }
}

impl Iterator for Noise {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let size = usize::try_from(self.left.min(64 << 10)).ok()?;
        if size == 0 {
            return None;
        }
        self.left -= size as u64;
        let mut chunk = Vec::with_capacity(size + 8);
        while chunk.len() < size {
            // xorshift64*: cheap, and any loss, repetition or swap shows.
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            let word = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D);
            chunk.extend_from_slice(&word.to_le_bytes());
        }
        chunk.truncate(size);
        Some(chunk.into())
    }
}

impl Digest {
    /// Of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }

    /// Of a body, read to its end.
    pub async fn read(wire: &mut Wire, body: &mut Body) -> io::Result<Self> {
        let mut digester = Digester::default();
        while let Some(chunk) = wire.data(body).await? {
            digester.update(&chunk);
        }
        Ok(digester.finish())
    }
}

impl Digester {
    /// Takes more.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// The digest of all.
    pub fn finish(self) -> Digest {
        let sha256 = self.hash.finalize();
        Digest {
            length: self.length,
            sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
