//! Backends on real sockets that do as they are told, and remember what they
//! were asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::port::Port;
use crate::script::{After, Reply, Upload};
use crate::tls::Identity;
use crate::wire::{Head, Wire};
use crate::within;

/// A backend: it listens while this lives, unless it is told to refuse.
pub struct Backend {
    port: Port,
    scheme: &'static str,
    host: &'static str,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    accepting: Option<AbortHandle>,
}

/// A request as a backend received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// How many came before it, over all connections.
    pub number: usize,
    /// Which connection it came by.
    pub connection: usize,
    /// Its head.
    pub head: Head,
    /// Its body, once read to its end.
    pub upload: Option<Upload>,
}

/// What a backend has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections accepted.
    pub connections: usize,
    /// Request heads read.
    pub requests: usize,
    /// Scripts cut short because the other side went away.
    pub gone: usize,
}

type Script = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Received>>,
    seen: watch::Sender<Seen>,
}

impl Backend {
    /// One that answers by this script.
    pub fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::launch(Arc::new(script), None)
    }

    /// The same over TLS, as `localhost`.
    pub fn start_tls(
        identity: &Identity,
        script: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Arc::new(script), Some(identity.acceptor()))
    }

    fn launch(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            received: Mutex::default(),
            seen: watch::Sender::default(),
        });
        let (scheme, host) = match tls {
            Some(_) => ("https", "localhost"),
            None => ("http", "127.0.0.1"),
        };
        let mut backend = Self {
            port: Port::reserve(),
            scheme,
            host,
            shared,
            tls,
            accepting: None,
        };
        backend.accept();
        backend
    }

    /// The value of its variable.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Its host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.address().port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on it answers by this.
    pub fn script(&self, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// From now on it answers all requests the same.
    pub fn always(&self, reply: Reply) {
        self.script(move |_| reply.clone());
    }

    /// Refuses connections from now on, and breaks off those there are.
    pub fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// Accepts connections (again).
    pub fn accept(&mut self) {
        self.refuse();
        let listener = self.port.listen();
        let serving = serve(listener, Arc::clone(&self.shared), self.tls.clone());
        self.accepting = Some(tokio::spawn(serving).abort_handle());
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        *self.shared.seen.borrow()
    }

    /// Waits until it has seen this.
    ///
    /// # Panics
    /// It has not, in good time.
    pub async fn until(&self, expected: &str, seen: impl FnMut(&Seen) -> bool) {
        let mut changes = self.shared.seen.subscribe();
        within(expected, changes.wait_for(seen)).await.unwrap();
    }

    /// The requests it received, in order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The only request it received.
    ///
    /// # Panics
    /// There is none, or more than one.
    pub fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "one request expected: {received:#?}");
        received.remove(0)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.refuse();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    // Dropped with this future, it ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut number = 0;
        shared.seen.send_modify(|seen| {
            number = seen.connections;
            seen.connections += 1;
        });
        connections.spawn(connection(stream, number, Arc::clone(&shared), tls.clone()));
    }
}

/// One connection: how it ends is seen by the other side, and by nobody here.
async fn connection(
    stream: TcpStream,
    number: usize,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = match tls {
        Some(tls) => Wire::new(tls.accept(stream).await?),
        None => Wire::new(stream),
    };
    while let Some(head) = wire.head().await? {
        let (index, reply) = shared.receive(number, head.clone());
        let uploaded = |upload| lock(&shared.received)[index].upload = Some(upload);
        let after = reply.perform(&mut wire, &head, uploaded).await;
        match after {
            Ok(After::KeepAlive) => {}
            Ok(After::Close) => break,
            Ok(After::Gone) | Err(_) => {
                shared.seen.send_modify(|seen| seen.gone += 1);
                break;
            }
        }
    }
    Ok(())
}

impl Shared {
    fn receive(&self, connection: usize, head: Head) -> (usize, Reply) {
        let request = {
            let mut received = lock(&self.received);
            let request = Received {
                number: received.len(),
                connection,
                head,
                upload: None,
            };
            received.push(request.clone());
            request
        };
        let script = Arc::clone(&lock(&self.script));
        self.seen.send_modify(|seen| seen.requests += 1);
        (request.number, script(&request))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{self, Client};
    use crate::noise::{Digest, Noise};
    use crate::script::Feed;

    #[tokio::test]
    async fn answers_by_script_and_remembers() {
        let backend = Backend::start(|request| Reply::ok(format!("request {}", request.number)));
        let mut client = Client::connect(backend.address()).await;
        client.ask("GET", "/first", "x-a: 1\r\n").await;
        let second = client.ask("GET", "/second", "").await;
        assert_eq!((second.status(), second.text()), (200, "request 1"));
        let received = backend.received();
        assert_eq!(received[0].head.field("X-A"), Some("1"));
        assert_eq!(received[1].head.target(), "/second");
        assert_eq!(backend.seen().connections, 1);
    }

    #[tokio::test]
    async fn refuses_and_accepts_again_on_the_same_port() {
        let mut backend = Backend::start(|_| Reply::ok("up"));
        let mut idle = Client::connect(backend.address()).await;
        idle.ask("GET", "/", "").await;
        backend.refuse();
        within("the connection ends", idle.wire.gone()).await;
        let refused = Client::try_connect(backend.address()).await;
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(io::ErrorKind::ConnectionRefused)
        );
        backend.accept();
        assert_eq!(client::get(backend.address(), "/").await.text(), "up");
    }

    #[tokio::test]
    async fn resets_in_the_middle_of_a_body() {
        let reply = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").reset();
        let backend = Backend::start(move |_| reply.clone());
        let mut client = Client::connect(backend.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let broken = client.try_response("GET").await;
        assert_eq!(
            broken.err().map(|error| error.kind()),
            Some(io::ErrorKind::ConnectionReset)
        );
    }

    #[tokio::test]
    async fn sends_pieces_and_trailers_and_notices_who_leaves() {
        let feed = Feed::of(["one", "two"]);
        let backend = Backend::start(move |request| match request.number {
            0 => Reply::chunked(&[], feed.clone()),
            _ => Reply::silence(),
        });
        let mut client = Client::connect(backend.address()).await;
        let response = client.ask("GET", "/", "").await;
        assert_eq!(response.text(), "onetwo");
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        drop(client);
        backend
            .until("the client is gone", |seen| seen.gone == 1)
            .await;
    }

    #[tokio::test]
    async fn digests_what_it_is_sent() {
        let backend = Backend::start(|_| Reply::digest());
        let noise = Noise::new(1, 200_000);
        let mut client = Client::connect(backend.address()).await;
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        for piece in noise.clone() {
            client.send(format!("{:x}\r\n", piece.len())).await;
            client.send(&piece).await;
            client.send("\r\n").await;
        }
        client.send("0\r\nx-checksum: 1\r\n\r\n").await;
        let response = client.response("POST").await;
        let upload = backend.only().upload.unwrap();
        assert_eq!(upload.digest, noise.digest());
        assert_eq!(response.text(), upload.digest.sha256);
        assert_eq!(upload.trailers.only("x-checksum"), Some("1"));
        assert_eq!(Digest::of(&upload.start).length, 64 << 10);
    }

    #[tokio::test]
    async fn a_swallowing_port_answers_no_handshake() {
        let port = Port::reserve();
        let _swallowing = port.swallow().await;
        let attempt = TcpStream::connect(port.address());
        let patience = std::time::Duration::from_millis(300);
        tokio::time::timeout(patience, attempt).await.unwrap_err();
    }
}
