//! HTTP/1.1 on a connection (<https://www.rfc-editor.org/rfc/rfc9112>), for either
//! side of it: heads become packed lines and lines heads, bodies are framed and
//! unframed. What connections do with it is [`serve`](crate::serve)'s and
//! [`upstream`](crate::upstream)'s.
//!
//! The grammar of heads is httparse's. A message is parsed whole and framed anew, so
//! that no byte of one hop's framing reaches the next.

mod beside;
mod body;
mod content;
mod date;
mod head;
mod input;
#[cfg(test)]
mod laws;
mod output;
mod write;

pub(crate) use beside::interim;
pub(crate) use body::{Decoded, Decoder};
pub(crate) use content::Content;
pub(crate) use head::{Framing, Malformed, RequestHead, ResponseHead, request, response};
pub(crate) use input::{Input, Truncated};
pub(crate) use output::{Encoder, Output};
pub(crate) use write::{Request, Response, To};

/// How many bytes a head may have.
pub(crate) const MAX_HEAD: usize = 400 << 10;
/// How many fields a head may have, and the trailers of a message.
const MAX_FIELDS: usize = 100;
/// How many bytes the target of a request may have.
const MAX_TARGET: usize = (u16::MAX - 1) as usize;
