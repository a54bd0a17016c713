//! Message heads, borrowed from whoever received them.

use core::net::IpAddr;

use crate::fields::Fields;

/// The transport scheme of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Cleartext.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of a body before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// There is none.
    None,
    /// There is one of unknown length.
    Unknown,
    /// There is one of this many bytes.
    Known(u64),
}

/// The head of a request as it arrived, nothing removed.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// The scheme of the connection it arrived by.
    pub scheme: Scheme,
    /// Authority of the request; empty where the runtime does not tell.
    pub authority: &'a str,
    /// Path and query byte for byte; `*` for a server-wide OPTIONS.
    pub target: &'a str,
    /// The address of the transport peer, where known.
    pub peer: Option<IpAddr>,
    /// What is known of the body.
    pub body: BodySize,
    /// All fields.
    pub fields: Fields<'a>,
}

/// The head of a backend's final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The status code.
    pub status: u16,
    /// What is known of the body.
    pub body: BodySize,
    /// All fields.
    pub fields: Fields<'a>,
}
