//! The access log: edgelb's line for each request, written in blocks.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request};

/// A block is written when it is this long, or this old.
const BLOCK: usize = 64 << 10;
const FLUSH: Duration = Duration::from_secs(1);
/// How long a path segment may be before it is taken for a token.
const SEGMENT: usize = 20;
/// The status of a request whose client left before there was one.
const CLIENT_CLOSED: u16 = 499;

/// A log of one thread. Threads append to the same file, whole lines at a time.
#[derive(Clone)]
pub(super) struct Log(Rc<RefCell<Block>>);

struct Block {
    lines: String,
    file: File,
}

impl Log {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let lines = String::with_capacity(BLOCK + 1024);
        Ok(Self(Rc::new(RefCell::new(Block { lines, file }))))
    }
}

/// Writes what is there every second.
pub(super) async fn flush_regularly(log: Log) {
    loop {
        tokio::time::sleep(FLUSH).await;
        log.0.borrow_mut().flush();
    }
}

impl Block {
    fn flush(&mut self) {
        // A full disk must not stop the traffic.
        let _ = self.file.write_all(self.lines.as_bytes());
        self.lines.clear();
    }
}

/// A line in the making, written when it is dropped.
pub(super) struct Line {
    log: Log,
    begun: Instant,
    client: IpAddr,
    method: Method,
    host: Option<HeaderValue>,
    target: Option<PathAndQuery>,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) backend: Option<usize>,
    pub(super) attempts: u32,
}

impl Line {
    pub(super) fn begin<B>(log: &Log, request: &Request<B>, client: IpAddr) -> Self {
        Self {
            log: log.clone(),
            begun: Instant::now(),
            client,
            method: request.method().clone(),
            host: request.headers().get(HOST).cloned(),
            target: request.uri().path_and_query().cloned(),
            status: CLIENT_CLOSED,
            bytes: 0,
            backend: None,
            attempts: 0,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut block = self.log.0.borrow_mut();
        let lines = &mut block.lines;
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        // Writing to a string does not fail.
        let _ = write!(
            lines,
            "{} {} \"{} {} ",
            humantime::format_rfc3339_millis(SystemTime::now()),
            self.client,
            self.method,
            host.unwrap_or("-"),
        );
        redact(
            lines,
            self.target.as_ref().map_or("*", PathAndQuery::as_str),
        );
        let duration = self.begun.elapsed().as_secs_f64() * 1e3;
        let _ = write!(lines, "\" {} {} {duration:.3} ", self.status, self.bytes);
        let _ = match self.backend {
            Some(backend) => writeln!(lines, "{backend} {}", self.attempts),
            None => writeln!(lines, "- {}", self.attempts),
        };
        if lines.len() >= BLOCK {
            block.flush();
        }
    }
}

/// Writes a target without what may be a credential.
fn redact(lines: &mut String, target: &str) {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            lines.push('/');
        }
        lines.push_str(if segment.len() < SEGMENT {
            segment
        } else {
            "*"
        });
    }
    for (index, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
        lines.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if name.len() < SEGMENT => lines.extend([name, "=*"]),
            _ => lines.push('*'),
        }
    }
}
