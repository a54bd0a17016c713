//! A client that sends the bytes it is given and keeps what it receives.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream};

use crate::noise::Digest;
use crate::wire::{Body, Fields, Head, Wire};
use crate::within;

/// A connection to whoever is tested.
pub struct Client {
    /// The connection, for what no method here does.
    pub wire: Wire,
}

/// A response, whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// The interim responses before it.
    pub interim: Vec<Head>,
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Bytes,
    /// What came after its body.
    pub trailers: Fields,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// Connects, if it can.
    pub async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(within("a connection", TcpStream::connect(address)).await?)
    }

    /// Connects from this address of ours, such as any of 127.0.0.0/8.
    pub async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        let stream = within("a connection", socket.connect(address)).await;
        Self::over(stream.unwrap()).unwrap()
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            wire: Wire::new(stream),
        })
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("the request is taken", self.wire.write(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// The next head, interim or final.
    pub async fn head(&mut self) -> Head {
        let head = within("a response head", self.wire.head()).await.unwrap();
        head.expect("a response in place of a closed connection")
    }

    /// The next final head, and its body.
    pub async fn response_head(&mut self, method: &str) -> (Vec<Head>, Head, Body) {
        let mut interim = Vec::new();
        loop {
            let head = self.head().await;
            if (100..200).contains(&head.status()) && head.status() != 101 {
                interim.push(head);
            } else {
                let body = Body::of_response(&head, method);
                return (interim, head, body);
            }
        }
    }

    /// The next piece of a body, `None` at its end.
    pub async fn data(&mut self, body: &mut Body) -> io::Result<Option<Bytes>> {
        within("more of the body", self.wire.data(body)).await
    }

    /// The response to a request with this method.
    pub async fn response(&mut self, method: &str) -> Response {
        self.try_response(method).await.unwrap()
    }

    /// The same, unless the body breaks off.
    pub async fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let (interim, head, mut body) = self.response_head(method).await;
        let mut whole = Vec::new();
        while let Some(piece) = self.data(&mut body).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(Response {
            interim,
            head,
            body: whole.into(),
            trailers: body.trailers,
        })
    }

    /// What a body comes to. Takes as long as it takes, as long as it goes on.
    pub async fn digest(&mut self, body: &mut Body) -> Digest {
        let mut digester = crate::noise::Digester::default();
        while let Some(piece) = self.data(body).await.unwrap() {
            digester.update(&piece);
        }
        digester.finish()
    }

    /// Sends a request without a body and reads the response. `fields` are
    /// whole lines, each with its line end; Host is given.
    pub async fn ask(&mut self, method: &str, target: &str, fields: &str) -> Response {
        self.send(format!(
            "{method} {target} HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n"
        ))
        .await;
        self.response(method).await
    }
}

/// The host that requests name unless the test says otherwise.
pub const HOST: &str = "service.test";

/// A GET on a connection of its own.
pub async fn get(address: SocketAddr, target: &str) -> Response {
    ask(address, "GET", target, "").await
}

/// Any request without a body, on a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, target: &str, fields: &str) -> Response {
    let mut client = Client::connect(address).await;
    client.ask(method, target, fields).await
}

impl Response {
    /// Its status code.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// Its body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}
