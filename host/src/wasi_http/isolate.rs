//! The isolate at work: one instance, replaced when it is lost, and the loop
//! in which it serves all its requests at once.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Response;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use wasmtime::AsContextMut as _;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use super::blueprint::{Blueprint, Instance};
use super::body::{self, Inbound};
use super::guest::{Guest, World};
use super::request::Head;
use super::ticket::Ticket;
use crate::body::Body;
use crate::event::{Event, EventSink};
use crate::metering::{Fuel, Meter};

/// A request for the guest to answer. If it is lost, so is the way to answer.
pub(super) struct Job {
    pub(super) head: Head,
    pub(super) body: Body,
    pub(super) ticket: Arc<Ticket>,
    pub(super) answer: oneshot::Sender<Result<Response<Body>, ErrorCode>>,
}

/// Answers requests as long as more can come, and then until the guest is done.
///
/// A lost instance takes with it the requests that it was at work on; those
/// still in the queue go to the next.
pub(super) async fn run(
    blueprint: Arc<Blueprint>,
    world: Arc<World>,
    events: EventSink,
    mut queue: UnboundedReceiver<Job>,
) {
    while let Some(first) = queue.recv().await {
        let ticket = Arc::clone(&first.ticket);
        let served = match blueprint.instantiate(&world).await {
            Ok(mut instance) => {
                let served = serve(&mut instance, first, &mut queue).await;
                served.map_err(|trap| instance.lose(trap))
            }
            Err(trap) => {
                if let Some(exceeded) = trap.downcast_ref() {
                    ticket.account.exceed(*exceeded);
                }
                Err(trap)
            }
        };
        if let Err(trap) = served {
            // Whoever waits for an answer learns of it by getting none.
            events(&Event::lost(&trap));
        }
    }
}

/// Answers requests with one instance. An error is a trap: the instance is not
/// to be used again.
async fn serve(
    instance: &mut Instance,
    first: Job,
    queue: &mut UnboundedReceiver<Job>,
) -> wasmtime::Result<()> {
    let Instance {
        store,
        service,
        meter,
    } = instance;
    let serving = store.run_concurrent(async |accessor| {
        let mut calls = FuturesUnordered::new();
        calls.push(answer(accessor, service, first));
        let mut open = true;
        poll_fn(|cx| {
            // The event loop comes by here before each time it enters the guest.
            match meter {
                Meter::Epochs(meter) => meter.turn(),
                Meter::Fuel(Fuel {
                    budget,
                    granted: None,
                }) => accessor.with(|mut store| store.as_context_mut().set_fuel(*budget))?,
                // Each time it is entered its tank is filled for whom it is.
                Meter::Fuel(_) => {}
            }
            while open && let Poll::Ready(job) = queue.poll_recv(cx) {
                match job {
                    Some(job) => calls.push(answer(accessor, service, job)),
                    None => open = false,
                }
            }
            while let Poll::Ready(Some(answered)) = calls.poll_next_unpin(cx) {
                if answered.is_err() {
                    return Poll::Ready(answered);
                }
            }
            // Its tasks may have bodies to give still.
            if open || !calls.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
        .await
    });
    serving.await?
}

/// Has the guest answer one request.
async fn answer(accessor: &Accessor<Guest>, service: &Service, job: Job) -> wasmtime::Result<()> {
    let Job {
        head,
        body,
        ticket,
        answer,
    } = job;
    if answer.is_closed() {
        return Ok(());
    }
    let handle = service.wasi_http_handler().func_handle();
    let call = accessor.with(|mut store| {
        let body = Inbound::new(body, Arc::clone(&ticket));
        let request = store.data_mut().table.push(head.with(body))?;
        let call = handle.start_call_concurrent(&mut store, (request,))?;
        (store.data_mut().charges).open(call.task(), Arc::clone(&ticket.account));
        (store.data_mut().tickets).insert(call.task(), Arc::downgrade(&ticket));
        wasmtime::error::Ok(call)
    })?;
    let (answered,) = handle.finish_call_concurrent(accessor, call).await?;
    let answered = accessor.with(|mut store| {
        let response = match answered {
            Ok(response) => store.data_mut().table.delete(response)?,
            Err(code) => return Ok(Err(code)),
        };
        let (broken, ended) = body::report();
        store.data_mut().hooks.met_own_body = false;
        let response = response.into_http_with_getter(&mut store, ended, Guest::http);
        let guest = store.data_mut();
        let author = (!guest.hooks.met_own_body).then(|| Arc::clone(&guest.fate));
        let response =
            response.map(|response| response.map(|body| body::watch(body, broken, author, ticket)));
        wasmtime::error::Ok(response.map_err(|_| ErrorCode::HttpProtocolError))
    })?;
    // The client may have gone away.
    let _ = answer.send(answered);
    Ok(())
}
