//! Ports that nobody else gets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A port of the loopback interface, ours while this lives: whether anybody
/// listens on it or not, the system gives it to nobody else.
pub struct Port {
    address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    /// One that was free. Nobody listens: connections are refused.
    pub fn reserve() -> Self {
        let socket = shared(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _reservation: socket,
        }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it. Another process may do so in our place, with `SO_REUSEPORT`.
    pub fn listen(&self) -> TcpListener {
        shared(self.address).unwrap().listen(1024).unwrap()
    }

    /// Listens on it, but lets nobody in: handshakes go unanswered as long as
    /// what this returns is kept.
    pub async fn swallow(&self) -> (TcpListener, Vec<TcpStream>) {
        let listener = shared(self.address).unwrap().listen(0).unwrap();
        let mut waiting = Vec::new();
        // A backlog of none has room for one or two; from then on SYNs are dropped.
        let hopeless = std::time::Duration::from_millis(200);
        while let Ok(Ok(stream)) =
            tokio::time::timeout(hopeless, TcpStream::connect(self.address)).await
        {
            waiting.push(stream);
        }
        (listener, waiting)
    }
}

fn shared(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}
