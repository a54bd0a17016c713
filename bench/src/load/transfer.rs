//! Bodies too long to keep: one client, one connection, one request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::parse;
use crate::backend::{self, discard, send};

/// Downloads that many bytes; answers how long it took, request included.
pub(crate) async fn download(server: SocketAddr, bytes: u64) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(server).await?;
    let path = backend::download(bytes);
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.example\r\n\r\n");
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let left = response(&mut stream, bytes).await?;
    discard(&mut stream, left).await?;
    Ok(begun.elapsed())
}

/// Uploads that many bytes; answers how long it took, response included.
pub(crate) async fn upload(server: SocketAddr, bytes: u64) -> anyhow::Result<Duration> {
    const ANSWER: u64 = 12;
    let mut stream = TcpStream::connect(server).await?;
    let request =
        format!("POST /upload HTTP/1.1\r\nHost: bench.example\r\nContent-Length: {bytes}\r\n\r\n");
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    send(&mut stream, bytes).await?;
    let left = response(&mut stream, ANSWER).await?;
    discard(&mut stream, left).await?;
    Ok(begun.elapsed())
}

/// Reads the head of a response of that many bytes; answers how many of them
/// are still to come.
async fn response(stream: &mut TcpStream, bytes: u64) -> anyhow::Result<u64> {
    let mut buffer = vec![0; 16 << 10];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await? {
            0 => bail!("the connection was closed, or the head is too long"),
            read => filled += read,
        }
        let Some(end) = backend::end_of_head(&buffer[..filled]) else {
            continue;
        };
        if let Some(head) = parse(&buffer[..filled])? {
            let length = (head.length - end) as u64;
            if length != bytes {
                bail!("a body of {length} bytes instead of {bytes}");
            }
            return Ok((head.length - filled) as u64);
        }
    }
}
