//! What a backend does with a request, as data.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use crate::noise::{Digest, Digester, Noise};
use crate::wire::{Body, Fields, Head, Wire};

/// What is done in answer to a request, one act after the other. The request's
/// body is read first unless [`Reply::before_body`] says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    acts: Vec<Act>,
    early: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Write(Bytes),
    WriteNoise(Noise),
    Echo,
    EchoTunnel,
    Relay(Feed),
    Wait(Feed),
    Digest,
    Finish,
    Collect(Feeder),
    Hang,
    Close,
    Reset,
}

/// Pieces that a backend writes when the test says so.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Mutex<mpsc::UnboundedReceiver<Bytes>>>);

/// Gives a [`Feed`] its pieces; dropped, the feed ends.
pub type Feeder = mpsc::UnboundedSender<Bytes>;

/// What a request's body came to.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its first 64 KiB.
    pub start: Bytes,
    /// All of it.
    pub digest: Digest,
    /// What came after it.
    pub trailers: Fields,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
    /// The other side closed before the script was over.
    Gone,
}

impl Reply {
    /// These bytes, whatever they are.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::default().then(bytes)
    }

    /// A response of known length.
    pub fn new(status: u16, fields: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let head = head(
            status,
            fields,
            &format!("content-length: {}\r\n", body.len()),
        );
        Self::raw(head).then(body)
    }

    /// A 200 with this text.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, &[], body)
    }

    /// A response whose body is this noise, of known length.
    pub fn noise(noise: Noise) -> Self {
        let length = format!("content-length: {}\r\n", noise.length());
        Self::raw(head(200, &[], &length)).and(Act::WriteNoise(noise))
    }

    /// A chunked response, one chunk a piece.
    pub fn chunked(fields: &[(&str, &str)], feed: Feed) -> Self {
        Self::raw(head(200, fields, "transfer-encoding: chunked\r\n")).and(Act::Relay(feed))
    }

    /// A chunked response that sends back what it is sent, as it comes.
    pub fn echo() -> Self {
        let head = head(200, &[], "transfer-encoding: chunked\r\n");
        Self::raw(head).and(Act::Echo).before_body()
    }

    /// A response that says the SHA-256 of the request's body.
    pub fn digest() -> Self {
        Self::default().and(Act::Digest)
    }

    /// Silence, until the other side goes away.
    pub fn silence() -> Self {
        Self::default().hang()
    }

    /// A 101.
    pub fn switch() -> Self {
        let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
        Self::raw(head(101, &upgrade, ""))
    }

    /// A 101, then everything comes back until the other side ends its
    /// direction; what comes `then` still follows.
    pub fn tunnel() -> Self {
        Self::switch().and(Act::EchoTunnel)
    }

    /// Then these bytes.
    #[must_use]
    pub fn then(self, bytes: impl Into<Bytes>) -> Self {
        self.and(Act::Write(bytes.into()))
    }

    /// Then all of another.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.acts.extend(other.acts);
        self
    }

    /// Then silence, until the feed ends.
    #[must_use]
    pub fn wait(self, feed: Feed) -> Self {
        self.and(Act::Wait(feed))
    }

    /// Then silence, until the other side goes away.
    #[must_use]
    pub fn hang(self) -> Self {
        self.and(Act::Hang)
    }

    /// Then the end of this direction; the other stays open.
    #[must_use]
    pub fn finish(self) -> Self {
        self.and(Act::Finish)
    }

    /// Then whatever comes, of no message, is handed over until it ends.
    #[must_use]
    pub fn collect(self, into: Feeder) -> Self {
        self.and(Act::Collect(into))
    }

    /// Then an orderly close.
    #[must_use]
    pub fn close(self) -> Self {
        self.and(Act::Close)
    }

    /// Then a reset.
    #[must_use]
    pub fn reset(self) -> Self {
        self.and(Act::Reset)
    }

    /// All of it without reading the request's body first.
    #[must_use]
    pub fn before_body(mut self) -> Self {
        self.early = true;
        self
    }

    fn and(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// Does it. What is read of the request's body goes to `uploaded`.
    pub(crate) async fn perform(
        self,
        wire: &mut Wire,
        request: &Head,
        uploaded: impl FnOnce(Upload),
    ) -> io::Result<After> {
        let mut upload = Reading::new(request, uploaded);
        if !self.early {
            while upload.next(wire).await?.is_some() {}
        }
        for act in self.acts {
            if let Some(after) = act.perform(wire, &mut upload).await? {
                return Ok(after);
            }
        }
        while upload.next(wire).await?.is_some() {}
        Ok(After::KeepAlive)
    }
}

impl Feed {
    /// A feed and whoever feeds it.
    pub fn new() -> (Feeder, Self) {
        let (feeder, pieces) = mpsc::unbounded_channel();
        (feeder, Self(Arc::new(Mutex::new(pieces))))
    }

    /// One that is complete.
    pub fn of(pieces: impl IntoIterator<Item = &'static str>) -> Self {
        let (feeder, feed) = Self::new();
        for piece in pieces {
            feeder.send(piece.into()).unwrap();
        }
        feed
    }
}

impl Act {
    async fn perform<F: FnOnce(Upload)>(
        self,
        wire: &mut Wire,
        upload: &mut Reading<F>,
    ) -> io::Result<Option<After>> {
        match self {
            Self::Write(bytes) => wire.write(&bytes).await?,
            Self::WriteNoise(noise) => {
                for chunk in noise {
                    wire.write(&chunk).await?;
                }
            }
            Self::Echo => {
                while let Some(piece) = upload.next(wire).await? {
                    wire.write(&chunk(&piece)).await?;
                }
                wire.write(b"0\r\n\r\n").await?;
            }
            Self::EchoTunnel => {
                while let Some(piece) = wire.bytes().await? {
                    wire.write(&piece).await?;
                }
            }
            Self::Relay(feed) => {
                let mut pieces = feed.0.lock().await;
                loop {
                    let piece = tokio::select! {
                        piece = pieces.recv() => piece,
                        () = wire.gone() => return Ok(Some(After::Gone)),
                    };
                    let Some(piece) = piece else { break };
                    wire.write(&chunk(&piece)).await?;
                }
                wire.write(b"0\r\n\r\n").await?;
            }
            Self::Wait(feed) => while feed.0.lock().await.recv().await.is_some() {},
            Self::Digest => {
                let sha256 = upload.digester.clone().finish().sha256;
                let length = format!("content-length: {}\r\n", sha256.len());
                let head = head(200, &[], &length);
                wire.write(format!("{head}{sha256}").as_bytes()).await?;
            }
            Self::Finish => wire.finish().await?,
            Self::Collect(into) => {
                while let Some(piece) = wire.bytes().await? {
                    let _ = into.send(piece);
                }
            }
            Self::Hang => {
                wire.gone().await;
                return Ok(Some(After::Gone));
            }
            Self::Close => {
                wire.finish().await?;
                return Ok(Some(After::Close));
            }
            Self::Reset => {
                wire.abort()?;
                return Ok(Some(After::Close));
            }
        }
        Ok(None)
    }
}

/// A request's body on its way in; whoever is to know is told at its end.
struct Reading<F> {
    body: Body,
    start: Vec<u8>,
    digester: Digester,
    uploaded: Option<F>,
}

impl<F: FnOnce(Upload)> Reading<F> {
    fn new(request: &Head, uploaded: F) -> Self {
        Self {
            body: Body::of_request(request),
            start: Vec::new(),
            digester: Digester::default(),
            uploaded: Some(uploaded),
        }
    }

    async fn next(&mut self, wire: &mut Wire) -> io::Result<Option<Bytes>> {
        let piece = wire.data(&mut self.body).await?;
        if let Some(piece) = &piece {
            let room = (64 << 10) - self.start.len();
            self.start
                .extend_from_slice(&piece[..piece.len().min(room)]);
            self.digester.update(piece);
        } else if let Some(uploaded) = self.uploaded.take() {
            uploaded(Upload {
                start: Bytes::copy_from_slice(&self.start),
                digest: self.digester.clone().finish(),
                trailers: self.body.trailers.clone(),
            });
        }
        Ok(piece)
    }
}

/// A response head.
pub fn head(status: u16, fields: &[(&str, &str)], framing: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + framing + "\r\n"
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
