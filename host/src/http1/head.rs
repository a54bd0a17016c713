//! Heads as they arrive.

use std::mem::MaybeUninit;
use std::time::Duration;

use http::{Method, StatusCode, Uri, Version};
use httparse::{Error, Header, Status};

use super::{MAX_FIELDS, MAX_HEAD, MAX_TARGET};
use crate::lines;

/// Where the body behind a head ends
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-6.3>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After this many bytes; there is no body if they are none.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection, which only that of a response may.
    Close,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    /// As the door takes them, with the pseudo-header fields.
    pub(crate) lines: Vec<u8>,
    pub(crate) framing: Framing,
    /// Whether another request may follow it
    /// (<https://www.rfc-editor.org/rfc/rfc9112#section-9.3>).
    pub(crate) persistent: bool,
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>
    pub(crate) expects_continue: bool,
    /// Whether trailers may be sent in answer
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1>).
    pub(crate) takes_trailers: bool,
    pub(crate) has_host: bool,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// If it is not the usual one.
    pub(crate) reason: Option<Box<[u8]>>,
    pub(crate) lines: Vec<u8>,
    pub(crate) framing: Framing,
    pub(crate) persistent: bool,
    /// How long the backend says that it keeps the connection: `Keep-Alive: timeout=5`
    /// (RFC 2068 section 19.7.1.1, and every Node server).
    pub(crate) keep: Option<Duration>,
}

/// What is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the head is malformed")]
    Syntax,
    #[error("the head has over {MAX_HEAD} bytes, or over {MAX_FIELDS} fields")]
    TooLarge,
    #[error("the target has over {MAX_TARGET} bytes")]
    TargetTooLong,
    #[error("the body has a transfer coding beside `chunked`")]
    Coding,
}

type Parsed<T> = Result<Option<(T, usize)>, Malformed>;

/// The request head at the beginning of some bytes, and its length. `None` if it is
/// not whole yet.
pub(crate) fn request(bytes: &[u8]) -> Parsed<RequestHead> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(bytes, &mut fields);
    let Some(length) = whole(parsed, bytes)? else {
        return Ok(None);
    };
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Malformed::Syntax);
    };
    if target.len() > MAX_TARGET {
        return Err(Malformed::TargetTooLong);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::Syntax)?;
    let uri = Uri::try_from(target).map_err(|_| Malformed::Syntax)?;
    let host = (head.headers.iter())
        .find(|field| field.name.eq_ignore_ascii_case("host"))
        .map(|field| field.value);
    let mut packed = lines::begin_request(&method, &uri, host, length);

    let mut connection = Connection::default();
    let (mut sized, mut codings) = (None, Codings::default());
    let (mut expects_continue, mut takes_trailers) = (false, false);
    for field in head.headers.iter() {
        let (name, value) = (field.name, field.value);
        if name.eq_ignore_ascii_case("content-length") {
            let size = number(value).ok_or(Malformed::Syntax)?;
            match sized.replace(size) {
                None => {}
                Some(same) if same == size => continue,
                Some(_) => return Err(Malformed::Syntax),
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            codings.read(value);
        } else if name.eq_ignore_ascii_case("connection") {
            connection.read(value);
        } else if name.eq_ignore_ascii_case("upgrade") && minor == 0 {
            // https://www.rfc-editor.org/rfc/rfc9110#section-7.8
            continue;
        } else if name.eq_ignore_ascii_case("expect") {
            expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        } else if name.eq_ignore_ascii_case("te") {
            takes_trailers |= (value.split(|&byte| byte == b','))
                .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
        }
        lines::push(&mut packed, name, value);
    }
    let framing = match (sized, codings.names) {
        (sized, 0) => Framing::Length(sized.unwrap_or(0)),
        // Whoever sends both may mean to be read in two ways.
        (Some(_), _) => return Err(Malformed::Syntax),
        (None, _) if minor == 0 => return Err(Malformed::Syntax),
        (None, 1) if codings.end => Framing::Chunked,
        (None, _) if codings.end => return Err(Malformed::Coding),
        (None, _) => return Err(Malformed::Syntax),
    };
    let head = RequestHead {
        method,
        uri,
        version: version(minor),
        lines: packed,
        framing,
        persistent: connection.persists(minor),
        // HTTP/1.0 knows no interim responses.
        expects_continue: expects_continue && minor > 0,
        takes_trailers,
        has_host: host.is_some(),
    };
    Ok(Some((head, length)))
}

/// The head of a response to a request of this method.
pub(crate) fn response(bytes: &[u8], method: &Method) -> Parsed<ResponseHead> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut head,
        bytes,
        &mut fields,
    );
    let Some(length) = whole(parsed, bytes)? else {
        return Ok(None);
    };
    let (Some(status), Some(minor)) = (head.code, head.version) else {
        return Err(Malformed::Syntax);
    };
    let status = StatusCode::from_u16(status).map_err(|_| Malformed::Syntax)?;
    let reason = head.reason.unwrap_or_default();
    let usual = status.canonical_reason().is_some_and(|it| it == reason);

    let is = |name: &'static str| move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name);
    let coded = head.headers.iter().any(|it| is("transfer-encoding")(&it));
    let mut packed = Vec::with_capacity(length);
    let mut connection = Connection::default();
    let (mut sized, mut chunked, mut keep) = (None, false, None);
    for field in head.headers.iter() {
        let (name, value) = (field.name, field.value);
        if name.eq_ignore_ascii_case("content-length") {
            if coded {
                // https://www.rfc-editor.org/rfc/rfc9112#section-6.3
                connection.close = true;
                continue;
            }
            for value in value.split(|&byte| byte == b',') {
                let size = number(value.trim_ascii()).ok_or(Malformed::Syntax)?;
                if sized.replace(size).is_some_and(|before| before != size) {
                    return Err(Malformed::Syntax);
                }
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            let last = value.rsplit(|&byte| byte == b',').next();
            chunked = last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        } else if name.eq_ignore_ascii_case("connection") {
            connection.read(value);
        } else if name.eq_ignore_ascii_case("keep-alive") {
            keep = timeout(value);
        }
        lines::push(&mut packed, name, value);
    }
    let code = status.as_u16();
    let framing = if *method == Method::HEAD || matches!(code, 100..=199 | 204 | 304) {
        Framing::Length(0)
    } else if coded {
        match (chunked, minor) {
            (_, 0) => return Err(Malformed::Syntax),
            (true, _) => Framing::Chunked,
            (false, _) => Framing::Close,
        }
    } else {
        sized.map_or(Framing::Close, Framing::Length)
    };
    let head = ResponseHead {
        status,
        reason: (!usual).then(|| reason.as_bytes().into()),
        lines: packed,
        framing,
        persistent: connection.persists(minor) && framing != Framing::Close,
        keep,
    };
    Ok(Some((head, length)))
}

fn whole(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    match parsed {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => Ok(Some(length)),
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => Ok(None),
        Ok(Status::Complete(_) | Status::Partial) | Err(Error::TooManyHeaders) => {
            Err(Malformed::TooLarge)
        }
        Err(_) => Err(Malformed::Syntax),
    }
}

const fn version(minor: u8) -> Version {
    if minor == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    }
}

/// What the fields `Transfer-Encoding` of a request say: one list, all of them together
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-6.1>).
#[derive(Default)]
struct Codings {
    names: usize,
    /// Whether `chunked` is the last of them and none before it. Else nobody knows where
    /// the body ends.
    end: bool,
    chunked: bool,
    /// Whether one has no name.
    empty: bool,
}

impl Codings {
    fn read(&mut self, names: &[u8]) {
        for name in names.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            let chunked = name.eq_ignore_ascii_case(b"chunked");
            self.names += 1;
            self.empty |= name.is_empty();
            self.end = chunked && !self.chunked && !self.empty;
            self.chunked |= chunked;
        }
    }
}

/// What the fields `Connection` say of it.
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
}

impl Connection {
    fn read(&mut self, options: &[u8]) {
        for option in options.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    const fn persists(&self, minor: u8) -> bool {
        !self.close && (minor > 0 || self.keep_alive)
    }
}

/// A number of digits, and of nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn timeout(value: &[u8]) -> Option<Duration> {
    let seconds = str::from_utf8(value)
        .ok()?
        .split(',')
        .find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let timeout = name.trim().eq_ignore_ascii_case("timeout");
            timeout.then(|| value.trim().parse().ok()).flatten()
        });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
