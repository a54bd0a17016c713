//! An attempt as the policy plans it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::bindings::{self, Attempt, Reuse, Tail};
use crate::edits::Edits;

/// An attempt, read.
pub(super) struct Plan {
    pub(super) backend: u32,
    pub(super) edits: Edits,
    pub(super) keep: u64,
    pub(super) tunnel: bool,
    /// The client, where it is not the peer.
    pub(super) client: Option<IpAddr>,
    pub(super) ordinary: Option<Ordinary>,
}

/// What to do with an ordinary response.
pub(super) struct Ordinary {
    known: Arc<Edits>,
    /// What follows those where the response makes a session.
    session: Option<Vec<u8>>,
    /// Both, once they are asked for.
    both: OnceLock<Arc<Edits>>,
    pub(super) tail: Tail,
    pub(super) reuse: Option<Reuse>,
}

impl Ordinary {
    /// With the edits that the policy speaks of by their number.
    pub(super) fn read(said: bindings::Ordinary, known: &[Arc<Edits>]) -> Option<Self> {
        Some(Self {
            known: Arc::clone(known.get(said.edits as usize)?),
            session: said.session,
            both: OnceLock::new(),
            tail: said.tail,
            reuse: said.reuse,
        })
    }

    /// Whether it makes a session, and so is ordinary only if it says nothing to caches.
    pub(super) const fn makes_session(&self) -> bool {
        self.session.is_some()
    }

    /// The edits to it.
    pub(super) fn edits(&self) -> &Arc<Edits> {
        match &self.session {
            Some(session) => (self.both).get_or_init(|| Arc::new(self.known.and(session))),
            None => &self.known,
        }
    }

    /// How many bytes they take that no others share.
    fn room(&self) -> usize {
        let session = self.session.as_ref().map_or(0, Vec::capacity);
        session + self.both.get().map_or(0, |both| both.room())
    }
}

impl Plan {
    /// How many bytes it takes.
    pub(super) fn room(&self) -> usize {
        self.edits.room() + self.ordinary.as_ref().map_or(0, Ordinary::room)
    }

    /// Reads an attempt.
    pub(super) fn read(attempt: Attempt, known: &[Arc<Edits>]) -> Self {
        Self {
            backend: attempt.backend,
            edits: Edits::read(attempt.edits),
            keep: attempt.keep,
            tunnel: attempt.tunnel,
            client: attempt.client.and_then(|client| client.parse().ok()),
            ordinary: (attempt.ordinary).and_then(|said| Ordinary::read(said, known)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_edits_of_a_session_follow_those_of_any_ordinary_response() {
        let known = [Edits::read(b"-a\n+via:x\n".to_vec())].map(Arc::new);
        let said = |edits, session: Option<&str>| bindings::Ordinary {
            edits,
            session: session.map(|it| it.as_bytes().to_vec()),
            tail: Tail {
                backend: 0,
                began: 0,
            },
            reuse: None,
        };
        let becomes = |ordinary: &Ordinary| ordinary.edits().of(b"a:1\nb:2\n").lines();
        let any = Ordinary::read(said(0, None), &known).unwrap();
        assert!(!any.makes_session());
        assert_eq!(becomes(&any), b"b:2\nvia:x\n");
        let new = Ordinary::read(said(0, Some("+set-cookie:c\n=b:3\n")), &known).unwrap();
        assert!(new.makes_session());
        assert_eq!(becomes(&new), b"via:x\nset-cookie:c\nb:3\n");
        assert!(Ordinary::read(said(1, None), &known).is_none());
    }
}
