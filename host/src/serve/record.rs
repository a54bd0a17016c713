//! Recordings of exchanges, without the secrets in them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use sha2::{Digest as _, Sha256};

use super::privacy::Privacy;
use super::queue::{LogWriter, Queue, Render};
use super::salt::{Salt, hex};
use crate::edits::Edited;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::lines;
use crate::recording::{self, Header, Line};
use crate::sim::End;
use crate::tape::{Tape, Taped, TapedOutcome};

/// Writes down each exchange, by a thread of its own, for
/// [`Simulation`](crate::sim::Simulation) to play again.
///
/// Secrets are not written: which values are, and how the others are hashed, is
/// in `docs/recording.md`.
#[derive(Clone, Debug)]
pub struct Recorder {
    exchanges: Queue<Box<Recorded>>,
    begun: Instant,
    requests: Arc<AtomicU64>,
    salt: Salt,
}

/// An exchange that is being recorded.
#[derive(Debug)]
pub(super) struct Take {
    recorder: Recorder,
    begun: Instant,
    request: u64,
    /// Packed, as all heads here: they keep no larger buffer in memory.
    fields: Vec<u8>,
    tape: Arc<Tape>,
    body: Option<SharedSum>,
    response: Sum,
    head: Option<Duration>,
    new_cookies: Vec<Box<[u8]>>,
    end: End,
}

/// What is known of a body so far.
#[derive(Debug)]
pub(super) struct Sum {
    bytes: u64,
    digest: Sha256,
    whole: bool,
}

/// A sum that a body feeds while others wait for it.
pub(super) type SharedSum = Arc<Mutex<Sum>>;

/// An exchange as it goes to the writer, which leaves out the secrets.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) request: u64,
    pub(super) at: Duration,
    pub(super) client: IpAddr,
    pub(super) proxied: bool,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) fields: Vec<u8>,
    pub(super) body: recording::Body,
    pub(super) attempts: Vec<Taped>,
    pub(super) status: Option<u16>,
    pub(super) head: Option<Duration>,
    pub(super) new_cookies: Vec<Box<[u8]>>,
    pub(super) ended: Duration,
    pub(super) end: End,
    pub(super) response: recording::Body,
}

/// What a [`Line`](super::line::Line) knows of it.
pub(super) struct Known<'a> {
    pub(super) client: IpAddr,
    pub(super) proxied: bool,
    pub(super) method: &'a Method,
    pub(super) target: &'a str,
    pub(super) status: u16,
}

impl Recorder {
    /// Starts the writer, which writes the header first. It ends, everything
    /// written, when the last clone is gone. The header is answered, too: a
    /// file that takes the place of the first must begin with it.
    ///
    /// # Errors
    /// The thread does not start, the system has no randomness, or the header
    /// cannot be written.
    pub fn start(
        configuration: Option<&EffectiveConfiguration>,
        mut sink: impl Write + Send + 'static,
    ) -> io::Result<(Self, LogWriter, String)> {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let begun = Instant::now();
        let header = Header::new(time, configuration);
        let salt = Salt::random()?;
        let privacy = Privacy::new(salt.clone(), &header);
        let header = Line::Recording(header).text();
        sink.write_all(header.as_bytes())?;
        let scribe = Scribe {
            privacy,
            header: header.clone(),
        };
        let (exchanges, writer) = Queue::start(scribe, sink)?;
        let recorder = Self {
            exchanges,
            begun,
            requests: Arc::default(),
            salt,
        };
        Ok((recorder, writer, header))
    }

    /// Begins to record an exchange.
    pub(super) fn take(&self, fields: &[u8]) -> Take {
        let begun = Instant::now();
        Take {
            begun,
            request: self.requests.fetch_add(1, Ordering::Relaxed),
            fields: lines::fields(fields).into(),
            tape: Arc::new(Tape::new(begun)),
            body: None,
            response: Sum::new(&self.salt),
            head: None,
            new_cookies: Vec::new(),
            end: End::Left,
            recorder: self.clone(),
        }
    }
}

impl Take {
    /// What is to be told of attempts.
    pub(super) fn tape(&self) -> Arc<Tape> {
        Arc::clone(&self.tape)
    }

    /// What is to be fed with the request's body.
    pub(super) fn body(&mut self) -> SharedSum {
        let sum = Arc::new(Mutex::new(Sum::new(&self.recorder.salt)));
        Arc::clone(self.body.insert(sum))
    }

    /// The client is answered with these fields.
    pub(super) fn answered(&mut self, fields: Edited<'_>) {
        self.head = Some(self.begun.elapsed());
        let cookies = fields.each().filter(|(name, _)| *name == b"set-cookie");
        self.new_cookies = cookies.map(|(_, value)| value.into()).collect();
    }

    /// This much more of the response's body.
    pub(super) fn feed(&mut self, data: &[u8]) {
        self.response.feed(data);
    }

    /// So it ended, unless it ended before.
    pub(super) fn ended(&mut self, end: End) {
        if self.end == End::Left {
            self.end = end;
            self.response.whole = end == End::Whole;
        }
    }

    /// Hands it over.
    pub(super) fn finish(&mut self, known: &Known<'_>) {
        let body = self.body.take().map(|sum| {
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.result()
        });
        let recorded = Recorded {
            request: self.request,
            at: self.begun.duration_since(self.recorder.begun),
            client: known.client,
            proxied: known.proxied,
            method: known.method.clone(),
            target: known.target.to_owned(),
            fields: std::mem::take(&mut self.fields),
            body: body.unwrap_or_default(),
            attempts: self.tape.take(),
            status: self.head.map(|_| known.status),
            head: self.head,
            new_cookies: std::mem::take(&mut self.new_cookies),
            ended: self.begun.elapsed(),
            end: self.end,
            response: self.response.result(),
        };
        let bytes = recorded.bytes();
        self.recorder.exchanges.write(Box::new(recorded), bytes);
    }
}

impl Recorded {
    /// That it takes in memory.
    fn bytes(&self) -> usize {
        let attempts = self.attempts.iter().map(|attempt| match &attempt.outcome {
            Some((_, TapedOutcome::Head { fields, .. })) => fields.len(),
            Some((_, TapedOutcome::Failed(..))) | None => 0,
        });
        let cookies = self.new_cookies.iter().map(|it| it.len());
        size_of::<Self>()
            + size_of_val(&*self.attempts)
            + size_of_val(&*self.new_cookies)
            + self.target.len()
            + self.fields.len()
            + attempts.sum::<usize>()
            + cookies.sum::<usize>()
    }
}

impl Sum {
    fn new(salt: &Salt) -> Self {
        Self {
            bytes: 0,
            digest: salt.digest(),
            whole: false,
        }
    }

    /// This much more of it.
    pub(super) fn feed(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.digest.update(data);
    }

    /// There is no more.
    pub(super) fn end(&mut self) {
        self.whole = true;
    }

    fn result(&mut self) -> recording::Body {
        let digest = self.digest.finalize_reset();
        recording::Body {
            bytes: self.bytes,
            sha256: (self.whole && self.bytes > 0).then(|| hex(&digest)),
        }
    }
}

/// Writes the lines of a recording.
struct Scribe {
    privacy: Privacy,
    header: String,
}

impl Render<Box<Recorded>> for Scribe {
    fn line(&mut self, exchange: Box<Recorded>, text: &mut String) {
        let exchange = self.privacy.exchange(*exchange);
        text.push_str(&Line::Exchange(Box::new(exchange)).text());
    }

    fn lost(&mut self, exchanges: u64, text: &mut String) {
        text.push_str(&Line::Lost { exchanges }.text());
    }

    /// Before a header, a line that was cut off is left out.
    fn resume(&mut self, text: &mut String) {
        text.push('\n');
        text.push_str(&self.header);
    }
}
