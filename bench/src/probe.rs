//! Before anything is measured: do they all do the work?
//!
//! A proxy that is fast because it leaves something out would win unfairly, so
//! a contender that does not make the edits it is credited with ends the run.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::contenders::Contender;

/// What a backend saw, by field, and what the client got.
struct Exchange {
    seen: BTreeMap<String, String>,
    client: IpAddr,
    head: String,
}

/// Checks a contender's edits, with and without a session.
pub(crate) fn check(contender: Contender, address: SocketAddr) -> anyhow::Result<()> {
    let Some(pseudonym) = contender.pseudonym() else {
        return Ok(());
    };
    let first = exchange(address, "theme=dark")?;
    let cookie = first
        .field("set-cookie")
        .find_map(|value| value.split(';').next())
        .context("the response sets no session cookie")?;
    first.check(contender, pseudonym, "theme=dark")?;
    // HAProxy adds it only to what says it may be cached.
    if contender != Contender::Haproxy {
        first.expect("cache-control", |value| value == "private")?;
    }

    let again = exchange(address, &format!("theme=dark; {cookie}"))?;
    if again.field("set-cookie").next().is_some() {
        bail!("a client with a session was given another");
    }
    // nginx has no means to take one cookie out.
    let left = if contender == Contender::Nginx {
        format!("theme=dark; {cookie}")
    } else {
        "theme=dark".to_owned()
    };
    again.check(contender, pseudonym, &left)?;
    if first.seen.get("port") != again.seen.get("port") {
        bail!("a client with a session was moved");
    }
    Ok(())
}

impl Exchange {
    fn check(&self, contender: Contender, pseudonym: &str, cookie: &str) -> anyhow::Result<()> {
        // wasmtime tells the component neither the client nor the field `Host`.
        if contender != Contender::Wasmtime {
            let client = self.client;
            self.saw("x-forwarded-for", &client.to_string())?;
            let forwarded = format!("for={client};host=bench.example;proto=http");
            self.saw("forwarded", &forwarded)?;
            self.saw("x-forwarded-host", "bench.example")?;
        }
        self.saw("x-forwarded-proto", "http")?;
        self.saw("cookie", cookie)?;
        let via = format!("1.1 {pseudonym}");
        self.saw("via", &via)?;
        self.saw("cdn-loop", pseudonym)?;
        self.expect("via", |value| value == via)?;
        if pseudonym == "edgelb" && contender != Contender::Wasmtime {
            // The others pass on what `Connection` names; that field, too, stays with wasmtime.
            self.saw("x-hop", "")?;
        }
        Ok(())
    }

    fn saw(&self, field: &str, expected: &str) -> anyhow::Result<()> {
        let seen = self.seen.get(field).map_or("", String::as_str);
        if seen != expected {
            bail!("the backend saw `{field}: {seen}`; expected `{expected}`");
        }
        Ok(())
    }

    fn expect(&self, field: &str, is: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        if !self.field(field).any(is) {
            bail!("`{field}` is not as expected in:\n{}", self.head);
        }
        Ok(())
    }

    fn field(&self, wanted: &str) -> impl Iterator<Item = &str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    }
}

/// Asks what arrives at a backend.
fn exchange(address: SocketAddr, cookie: &str) -> anyhow::Result<Exchange> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!(
        "GET /seen HTTP/1.1\r\n\
         Host: bench.example\r\n\
         Connection: close, X-Hop\r\n\
         X-Hop: 1\r\n\
         X-Forwarded-For: 203.0.113.66\r\n\
         Cookie: {cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("the response has no end of head")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("a response that is no 200:\n{response}");
    }
    let seen = body
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Exchange {
        seen: seen.collect(),
        client: stream.local_addr()?.ip(),
        head: head.to_owned(),
    })
}
