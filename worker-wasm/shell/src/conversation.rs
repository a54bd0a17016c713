//! One exchange with the policy, from the request to the response.

use std::mem;

use wasip3::http::types::{Request, Response};

use crate::bindings::edgelb::balancer::exchange::{
    Arrival, ExchangeId, Failure, Outcome, Step, Turn,
};
use crate::incoming::Incoming;
use crate::settings::Settings;
use crate::{attempt, policy, response};

/// Answers a request as the policy says.
pub(crate) async fn hold(request: Request) -> Response {
    let settings = Settings::shared();
    let mut incoming = Incoming::new(request, settings.peer_field.as_deref());
    let mut arrived = None;
    let mut step = policy::begin(&incoming.head());
    loop {
        match step.turn {
            Turn::Send(attempt) => {
                let under_way = UnderWay(step.exchange);
                // The response of an attempt before is not wanted any more.
                arrived = None;
                // A body handed to an attempt is gone even if it reaches nobody,
                // so the attempt's own `keep` would be too little.
                if incoming.keep_body(settings.replay_limit).await.is_err() {
                    return response::empty(400);
                }
                let result = attempt::send(&settings, &mut incoming, &attempt).await;
                let replayable = incoming.is_replayable();
                step = match result {
                    Ok(arrival) => {
                        let head = arrival.head(incoming.is_head());
                        arrived = Some(arrival);
                        under_way.settle(&Outcome::Head(Arrival { head, replayable }))
                    }
                    Err((cause, delivery)) => under_way.settle(&Outcome::Failed(Failure {
                        cause,
                        delivery,
                        replayable,
                    })),
                };
            }
            Turn::Forward(forward) => {
                return match arrived {
                    Some(arrival) => response::forward(arrival, &forward),
                    None => response::empty(502),
                };
            }
            Turn::Reply(reply) => return response::reply(reply, incoming.is_head()),
        }
    }
}

/// An attempt under way. If the runtime cancels the exchange, because the client
/// went away, it is dropped and nobody is blamed.
struct UnderWay(ExchangeId);

impl UnderWay {
    fn settle(self, outcome: &Outcome) -> Step {
        let exchange = self.0;
        mem::forget(self);
        policy::settle(exchange, outcome)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        policy::abandon(self.0);
    }
}
