//! WebSocket (RFC 6455) at either end, by a library that knows nothing of us.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Response;
pub use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
pub use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::HOST;
use crate::port::Port;
use crate::within;

/// A connection.
pub type WebSocket = WebSocketStream<TcpStream>;

/// Close frames in order, code and reason; `None` for a connection without.
pub type Closes = Vec<Option<(u16, String)>>;

/// A backend that sends every message back. The text `close CODE REASON` makes
/// it close instead.
pub struct Echo {
    port: Port,
    closes: watch::Sender<Closes>,
    accepting: AbortHandle,
}

impl Echo {
    /// Starts one.
    pub fn start() -> Self {
        let port = Port::reserve();
        let closes = watch::Sender::<Closes>::default();
        let listener = port.listen();
        let heard = closes.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, heard.clone()));
            }
        });
        Self {
            port,
            closes,
            accepting: accepting.abort_handle(),
        }
    }

    /// The value of its variable.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// How clients closed, once so many have.
    pub async fn closes_until(&self, count: usize) -> Closes {
        let mut closes = self.closes.subscribe();
        let enough = closes.wait_for(|closes| closes.len() >= count);
        within("connections are closed", enough)
            .await
            .unwrap()
            .clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, closes: watch::Sender<Closes>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let mut close = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = &message {
            close = frame
                .as_ref()
                .map(|frame| (frame.code.into(), frame.reason.to_string()));
        } else if let Some(frame) = asked_to_close(&message) {
            let _ = socket.close(Some(frame)).await;
        } else if message.is_text() || message.is_binary() {
            let _ = socket.send(message).await;
        }
    }
    closes.send_modify(|closes| closes.push(close));
}

fn asked_to_close(message: &Message) -> Option<CloseFrame> {
    let (code, reason) = message
        .to_text()
        .ok()?
        .strip_prefix("close ")?
        .split_once(' ')?;
    Some(CloseFrame {
        code: CloseCode::from(code.parse::<u16>().ok()?),
        reason: reason.to_owned().into(),
    })
}

/// Opens one.
pub async fn connect(address: SocketAddr, target: &str) -> WebSocket {
    try_connect(address, target).await.unwrap().0
}

/// Opens one, if the other side will.
pub async fn try_connect(
    address: SocketAddr,
    target: &str,
) -> Result<(WebSocket, Response), Error> {
    let stream = within("a connection", TcpStream::connect(address)).await?;
    let uri = format!("ws://{HOST}{target}");
    let handshake = tokio_tungstenite::client_async(uri, stream);
    within("the WebSocket handshake", handshake).await
}

/// The next message.
pub async fn receive(socket: &mut WebSocket) -> Message {
    within("a message", socket.next()).await.unwrap().unwrap()
}
