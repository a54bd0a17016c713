//! An ordinary `wasi:http/handler`, no balancer, for tests of the host as a
//! runtime for any of them.
//!
//! By the request's path: `/count` tells how many requests this instance has
//! been given, `/trap` traps, `/trap-on` does once it has given half of
//! its response, `/spin` never returns, `/hog/N` takes N bytes of
//! memory, never to give them back, `/refuse` answers with an error code,
//! `/fan/N` asks the origin N times at once and tells how many of those were
//! answered, `/toil/N` does so one after the other, with work to do before each,
//! `/toil-on/N` the same once its response's head has left, and all else is asked of the origin that `ORIGIN` names
//! (`host:port`).

#![cfg(target_family = "wasm")]

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

/// How often a loop goes round that is some work.
const TOIL: u32 = 100_000;

thread_local! {
    static SERVED: Cell<u32> = const { Cell::new(0) };
}

struct Handler;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        SERVED.set(SERVED.get() + 1);
        let target = request.get_path_with_query();
        match target
            .as_deref()
            .map(|it| it.rsplit_once('/').unwrap_or(("", it)))
        {
            Some(("/hog", bytes)) => Ok(text(hog(number(bytes)?).to_string())),
            Some(("/fan", times)) => Ok(text(fan(number(times)?).await.to_string())),
            Some(("/toil", times)) => Ok(text(toil(number(times)?).await.to_string())),
            Some(("/toil-on", times)) => {
                let times = number(times)?;
                Ok(content(async move { toil(times).await.to_string() }))
            }
            _ => by_name(request, target.as_deref()).await,
        }
    }
}

async fn by_name(request: Request, target: Option<&str>) -> Result<Response, ErrorCode> {
    match target {
        Some("/count") => Ok(text(SERVED.get().to_string())),
        Some("/trap") => std::process::abort(),
        Some("/trap-on") => Ok(half()),
        Some("/spin") => loop {
            std::hint::spin_loop();
        },
        Some("/refuse") => Err(ErrorCode::HttpRequestDenied),
        _ => pass(request).await,
    }
}

fn number(text: &str) -> Result<usize, ErrorCode> {
    text.parse().map_err(|_| ErrorCode::HttpRequestUriInvalid)
}

fn hog(bytes: usize) -> usize {
    let taken = std::hint::black_box(Vec::<u8>::with_capacity(bytes));
    std::mem::forget(taken);
    bytes
}

/// Asks the origin so many times at once; how many answers there are.
async fn fan(times: usize) -> usize {
    let mut asked: Vec<_> = (0..times).map(|_| Box::pin(ask())).collect();
    let mut answers = 0;
    poll_fn(|cx| {
        asked.retain_mut(|asked| match asked.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                answers += usize::from(answer.is_ok());
                false
            }
            Poll::Pending => true,
        });
        if asked.is_empty() {
            Poll::Ready(answers)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Works and asks the origin by turns; how many answers there are.
async fn toil(times: usize) -> usize {
    let mut answers = 0;
    for _ in 0..times {
        for step in 0..TOIL {
            std::hint::black_box(step);
        }
        answers += usize::from(ask().await.is_ok());
    }
    answers
}

async fn ask() -> Result<Response, ErrorCode> {
    let denied = |()| ErrorCode::HttpRequestDenied;
    let origin = std::env::var("ORIGIN").map_err(|_| ErrorCode::ConfigurationError)?;
    let (request, _sent) = Request::new(Fields::new(), None, wit_future::new(|| Ok(None)).1, None);
    request.set_scheme(Some(&Scheme::Http)).map_err(denied)?;
    request.set_authority(Some(&origin)).map_err(denied)?;
    request.set_path_with_query(Some("/")).map_err(denied)?;
    client::send(request).await
}

/// Hands the request to the origin and its response back, bodies untouched.
async fn pass(request: Request) -> Result<Response, ErrorCode> {
    let denied = |()| ErrorCode::HttpRequestDenied;
    let origin = std::env::var("ORIGIN").map_err(|_| ErrorCode::ConfigurationError)?;
    let method = request.get_method();
    let target = request.get_path_with_query();
    let (content, trailers) = Request::consume_body(request, wit_future::new(|| Ok(())).1);
    let (onward, _sent) = Request::new(Fields::new(), Some(content), trailers, None);
    onward.set_method(&method).map_err(denied)?;
    onward.set_scheme(Some(&Scheme::Http)).map_err(denied)?;
    onward.set_authority(Some(&origin)).map_err(denied)?;
    onward
        .set_path_with_query(target.as_deref())
        .map_err(denied)?;
    client::send(onward).await
}

fn text(text: String) -> Response {
    content(async { text })
}

/// A response that ends in a trap.
fn half() -> Response {
    let (mut writer, content) = wit_stream::new();
    wasip3::wit_bindgen::spawn_local(async move {
        writer.write_all(b"half".to_vec()).await;
        // Once the origin has answered, the half has gone.
        let _ = ask().await;
        std::process::abort();
    });
    let trailers = wit_future::new(|| Ok(None)).1;
    Response::new(Fields::new(), Some(content), trailers).0
}

/// A response whose content is still to come.
fn content(text: impl Future<Output = String> + 'static) -> Response {
    let (mut writer, content) = wit_stream::new();
    wasip3::wit_bindgen::spawn_local(async move {
        writer.write_all(text.await.into_bytes()).await;
    });
    let trailers = wit_future::new(|| Ok(None)).1;
    Response::new(Fields::new(), Some(content), trailers).0
}

wasip3::http::service::export!(Handler);
