//! A backend of our own: it counts connections and requests, takes and sends
//! bodies of any length, and can be killed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// How many bytes are read or written at a time.
const CHUNK: usize = 256 << 10;
/// The longest request head.
const HEAD: usize = 16 << 10;

/// The path of a response of so many bytes.
pub(crate) fn download(bytes: u64) -> String {
    format!("{DOWNLOAD}{bytes}")
}

const DOWNLOAD: &str = "/download/";

/// A backend on a thread of its own; dropping it kills it, and closes every
/// connection to it.
pub(crate) struct Backend {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
}

/// What a backend has got since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Got {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
}

impl Backend {
    /// Starts one; it listens when this returns.
    pub(crate) fn start(address: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(1024)?
        };
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("backend".to_owned()).spawn({
            let counts = Arc::clone(&counts);
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, counts) => {}
                    }
                });
            }
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            counts,
        })
    }

    pub(crate) fn got(&self) -> Got {
        Got {
            connections: self.counts.connections.load(Relaxed),
            requests: self.counts.requests.load(Relaxed),
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::ops::Sub for Got {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            connections: self.connections - before.connections,
            requests: self.requests - before.requests,
        }
    }
}

impl std::iter::Sum for Got {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            connections: sum.connections + it.connections,
            requests: sum.requests + it.requests,
        })
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Relaxed);
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            // How a connection ends is the proxy's business.
            let _ = serve(stream, &counts).await;
        });
    }
}

async fn serve(mut stream: TcpStream, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; HEAD];
    let mut filled = 0;
    loop {
        let Some(end) = end_of_head(&buffer[..filled]) else {
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
            continue;
        };
        counts.requests.fetch_add(1, Relaxed);
        let head = Head::parse(&buffer[..end])?;
        let here = at_most(filled - end, head.length);
        buffer.copy_within(end + here..filled, 0);
        filled -= end + here;
        discard(&mut stream, head.length - here as u64).await?;
        match head.download {
            None => {
                let response = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\":true}\n";
                stream.write_all(response).await?;
            }
            Some(length) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                send(&mut stream, length).await?;
            }
        }
    }
}

/// Sends a body of that many zeroes.
pub(crate) async fn send(stream: &mut TcpStream, length: u64) -> io::Result<()> {
    static ZEROES: [u8; CHUNK] = [0; CHUNK];
    let mut left = length;
    while left > 0 {
        left -= stream.write(&ZEROES[..at_most(CHUNK, left)]).await? as u64;
    }
    Ok(())
}

/// Reads that much of a body.
///
/// # Errors
/// It ends early.
pub(crate) async fn discard(stream: &mut TcpStream, length: u64) -> io::Result<()> {
    let mut left = length;
    let mut chunk = vec![0; at_most(CHUNK, left)];
    while left > 0 {
        let most = at_most(CHUNK, left);
        match stream.read(&mut chunk[..most]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
    }
    Ok(())
}

fn at_most(most: usize, wanted: u64) -> usize {
    usize::try_from(wanted).map_or(most, |wanted| wanted.min(most))
}

/// What is to be known of a request.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// Bytes of its body.
    length: u64,
    /// Bytes that it asks for; `None`: a few will do.
    download: Option<u64>,
}

impl Head {
    /// # Errors
    /// It is not one of ours: with a body of unknown length, for one.
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
        let text = str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut lines = text.split("\r\n");
        let target = lines.next().and_then(|line| line.split(' ').nth(1));
        let download = target.and_then(|target| target.strip_prefix(DOWNLOAD));
        let mut length = 0;
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(malformed)?;
            }
        }
        Ok(Self {
            length,
            download: download.map(str::parse).transpose().map_err(malformed)?,
        })
    }
}

/// Where a head ends; `None` before it does.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn heads_say_how_long_bodies_are() {
        let head = |text: &str| Head::parse(text.as_bytes());
        let download = head("GET /download/70 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!((download.length, download.download), (0, Some(70)));
        let upload = head("POST /a HTTP/1.1\r\nContent-length: 9\r\n\r\n").unwrap();
        assert_eq!((upload.length, upload.download), (9, None));
        let small = head("GET /a HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!((small.length, small.download), (0, None));
        head("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err();
    }
}
