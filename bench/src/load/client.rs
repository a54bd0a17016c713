//! One client: an address, a connection kept alive, a cookie.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::pace::Pace;

/// What clients do with the session cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cookies {
    /// Send it back, as browsers do.
    Keep,
    /// Ignore it, as media players do: every response brings a new one.
    Ignore,
}

/// What a client changes from request to request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Varying {
    /// The target, as every client does.
    Target,
    /// A cookie as well, so that no head is one that was decided before.
    Cookie,
}

/// A client, connected.
pub(super) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    numbers: Vec<Range<usize>>,
    varying: Varying,
    wants_cookie: bool,
    buffer: Vec<u8>,
}

/// What is to be known of a response.
pub(super) struct Head<'a> {
    /// Bytes of head and body.
    pub(super) length: usize,
    /// `name=value` of the cookie it sets.
    cookie: Option<&'a str>,
}

impl Client {
    pub(super) async fn connect(
        number: usize,
        server: SocketAddr,
        cookies: Cookies,
        varying: Varying,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((address(number), 0)))?;
        let stream = socket
            .connect(server)
            .await
            .with_context(|| format!("cannot connect to `{server}`"))?;
        stream.set_nodelay(true)?;
        let request = request(None, varying);
        Ok(Self {
            stream,
            numbers: numbers(&request),
            request,
            varying,
            wants_cookie: cookies == Cookies::Keep,
            buffer: vec![0; 16 << 10],
        })
    }

    /// Sends request after request; answers how long each took.
    pub(super) async fn run(&mut self, pace: &Pace) -> anyhow::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        while let Some(due) = pace.due().await? {
            self.once().await?;
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    }

    /// Sends one request.
    pub(super) async fn once(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.request).await?;
        for number in &self.numbers {
            count_up(&mut self.request[number.clone()]);
        }
        self.receive().await
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        let mut filled = 0;
        loop {
            let room = &mut self.buffer[filled..];
            match self.stream.read(room).await? {
                0 => bail!("the connection was closed, or the response is too long"),
                read => filled += read,
            }
            let Some(head) = parse(&self.buffer[..filled])? else {
                continue;
            };
            if self.wants_cookie
                && let Some(cookie) = head.cookie
            {
                self.request = request(Some(cookie), self.varying);
                self.numbers = numbers(&self.request);
                self.wants_cookie = false;
            }
            match filled.checked_sub(head.length) {
                Some(0) => return Ok(()),
                Some(_) => bail!("more came than was asked for"),
                None => {}
            }
        }
    }
}

/// An address of the loopback network (127.0.0.0/8) for each client.
fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// A number that counts requests, before the first.
const COUNTED: &[u8] = b"=000001";

/// What a small client sends.
fn request(cookie: Option<&str>, varying: Varying) -> Vec<u8> {
    let mut request = String::from(
        "GET /api/v1/items?page=000001 HTTP/1.1\r\n\
         Host: bench.example\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Accept: application/json, text/plain, */*\r\n\
         Accept-Encoding: gzip, deflate\r\n\
         Accept-Language: en-GB,en;q=0.5\r\n",
    );
    let varied = match varying {
        Varying::Target => None,
        Varying::Cookie => Some("seen=000001"),
    };
    let cookies: Vec<_> = varied.into_iter().chain(cookie).collect();
    if !cookies.is_empty() {
        request.extend(["Cookie: ", &cookies.join("; "), "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Where a request has numbers.
fn numbers(request: &[u8]) -> Vec<Range<usize>> {
    let windows = request.windows(COUNTED.len()).enumerate();
    let found = windows.filter(|&(_, bytes)| bytes == COUNTED);
    found
        .map(|(start, _)| start + 1..start + COUNTED.len())
        .collect()
}

/// Counts a number up.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

/// Reads a response head; `None` if it is not complete yet.
pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Option<Head<'_>>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&bytes[..end]).context("a head that is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        bail!("`{status}` instead of 200");
    }
    let mut length = None;
    let mut cookie = None;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>()?);
        } else if name.eq_ignore_ascii_case("set-cookie") {
            cookie = value.split(';').next();
        }
    }
    let body = length.context("a response without Content-Length")?;
    Ok(Some(Head {
        length: end + 4 + body,
        cookie,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn responses_are_measured() {
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nSet-Cookie: a=b; Path=/\r\n\r\nok";
        let head = parse(response).unwrap().unwrap();
        assert_eq!(head.length, response.len() + 1);
        assert_eq!(head.cookie, Some("a=b"));
        assert!(parse(&response[..40]).unwrap().is_none());
    }

    #[test]
    fn what_is_no_success_is_no_result() {
        for response in [
            &b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(parse(response).is_err());
        }
    }

    #[test]
    fn no_request_is_like_the_one_before() {
        let mut sent = request(Some("a=0"), Varying::Cookie);
        for number in numbers(&sent) {
            (0..99).for_each(|_| count_up(&mut sent[number.clone()]));
        }
        let sent = String::from_utf8(sent).unwrap();
        assert!(
            sent.starts_with("GET /api/v1/items?page=000100 HTTP"),
            "{sent}"
        );
        assert!(sent.contains("Cookie: seen=000100; a=0\r\n"), "{sent}");
    }

    #[test]
    fn clients_have_addresses_of_their_own() {
        assert_eq!(address(1), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(address(513), Ipv4Addr::new(127, 1, 2, 1));
    }
}
