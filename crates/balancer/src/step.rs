//! What the balancer says and hears in the course of an exchange.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::edits::Edits;
use crate::exchange::InFlight;
use crate::fields::FieldLines;
use crate::head::ResponseHead;
use crate::time::Timestamp;

/// What to do next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are sent, and taken apart at once: a box would be one more allocation"
)]
pub enum Step {
    /// Perform this attempt, then settle (or abandon) the token.
    Send {
        /// The attempt.
        attempt: Attempt,
        /// The exchange while it is under way.
        then: InFlight,
    },
    /// Pass the response just reported on to the client.
    Forward {
        /// The edits to its fields.
        edits: Edits,
        /// Who answers for its body.
        tail: Tail,
    },
    /// Answer the client; the balancer speaks for itself.
    Reply(LocalReply),
}

/// An attempt to perform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the backend in the policy.
    pub backend: usize,
    /// The edits that turn the original request fields into those to send.
    pub edits: Edits,
    /// How many bytes of the body to keep so that it can be sent again.
    pub keep: u64,
    /// Whether the client asked for a tunnel, so that 101 may come back.
    pub tunnel: bool,
    /// Who the client is, where the peer is known and is somebody else.
    pub client: Option<IpAddr>,
    /// What to do with an ordinary response; `None` where it depends on more.
    pub ordinary: Option<Ordinary>,
}

/// The answer to an ordinary response, given before there is one.
///
/// A response is ordinary if its status is 200 to 499, and each `Connection` field
/// that it has says `close` or `keep-alive` and nothing else. While the ledger
/// [holds nothing](crate::Ledger::holds_nothing) against any backend, to settle an
/// exchange with one would give this answer and change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordinary {
    /// The edits to its fields: an index into [`crate::Balancer::ordinary`].
    pub edits: usize,
    /// Those that follow, where it makes a session. A response is ordinary then only if it
    /// says nothing to caches: has no `Cache-Control`, `Surrogate-Control`, or field whose
    /// name ends in `CDN-Cache-Control`.
    pub session: Option<Edits>,
    /// Who answers for its body.
    pub tail: Tail,
    /// For which other requests the attempt is one, too; `None` where it depends on more.
    pub reuse: Option<Reuse>,
}

/// The requests that an attempt is [one for, too](crate::Balancer::adopt): their head is
/// the same but for the target and fields that are not [relevant](crate::Balancer::relevant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// They come earlier than this.
    pub until: Timestamp,
    /// So many bytes of the target are the same, too, and end a segment of the path. The
    /// target is neither `*` nor under `/.well-known/`.
    pub path: usize,
}

/// A response of the balancer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The status code.
    pub status: u16,
    /// All fields but `content-length`.
    pub fields: FieldLines,
    /// The body; left out by the caller in answer to HEAD.
    pub body: Vec<u8>,
}

/// Who answers for a forwarded body; settled by [`crate::Balancer::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Index of the backend.
    pub backend: usize,
    /// When the attempt began.
    pub began: Timestamp,
}

impl Tail {
    /// The index of no backend, for a body that nobody answers for.
    pub(crate) const NOBODY: usize = u32::MAX as usize;
}

/// How a forwarded body ended that did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The backend broke off or fell silent.
    Broken,
    /// The client went away.
    Abandoned,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// A final response head arrived.
    Head(Arrival<'a>),
    /// None did.
    Failed(Failure),
}

/// An attempt that brought a response.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its head.
    pub head: ResponseHead<'a>,
    /// Whether the request's body could be sent again from its first byte.
    pub replayable: bool,
}

/// An attempt that brought none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// How far it got.
    pub delivery: Delivery,
    /// Whether the request's body could be sent again from its first byte.
    pub replayable: bool,
}

/// Whether a failed attempt can have reached the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No byte of it was sent.
    NotSent,
    /// Some of it may have been received.
    MaybeSent,
}

/// Why an attempt brought no response: the error types of Proxy-Status
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "defined by RFC 9209 section 2.3")]
pub enum Cause {
    DnsTimeout,
    DnsError,
    DestinationNotFound,
    DestinationUnavailable,
    DestinationIpProhibited,
    DestinationIpUnroutable,
    ConnectionRefused,
    ConnectionTerminated,
    ConnectionTimeout,
    ConnectionReadTimeout,
    ConnectionWriteTimeout,
    ConnectionLimitReached,
    TlsProtocolError,
    TlsCertificateError,
    TlsAlertReceived,
    HttpRequestDenied,
    HttpResponseIncomplete,
    HttpResponseHeaderSectionSize,
    HttpResponseTimeout,
    HttpUpgradeFailed,
    HttpProtocolError,
    LoopDetected,
    ConfigurationError,
    InternalError,
}
