//! The whole core behind one export, for an engine that provides nothing:
//! whatever it imported would be I/O, a clock, randomness or an environment.
#![cfg(target_family = "wasm")]

use std::net::Ipv6Addr;

use edgelb_balancer::{
    Arrival, Balancer, BodyEnd, BodySize, Cause, Delivery, Failure, Fields, Ledger, Outcome,
    RequestHead, ResponseHead, Scheme, Seed, Step, Timestamp,
};

/// Configures, decides, settles either way, abandons, encodes and merges, on
/// whatever its arguments make of it. Nobody runs this; what it reaches is linked.
#[expect(unsafe_code, reason = "an export needs a name of its own")]
#[unsafe(no_mangle)]
pub extern "C" fn everything(now: u64, seed: u64, status: u16) -> usize {
    let text = format!("{now} {seed} {status}");
    let variables = [("BACKEND_A", text.clone()), ("AFFINITY_KEY", text.clone())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let config = match edgelb_config::from_env(variables) {
        Ok(config) => config,
        Err(errors) => return errors.iter().map(|error| error.to_string().len()).sum(),
    };
    let Ok(balancer) = Balancer::new(config.policy) else {
        return 0;
    };
    let mut ledger = Ledger::new(balancer.policy());
    let now = Timestamp::from_millis(now);
    let head = RequestHead {
        method: &text,
        scheme: Scheme::Https,
        authority: &text,
        target: &text,
        peer: Some(Ipv6Addr::from(u128::from(seed)).into()),
        body: BodySize::Unknown,
        fields: Fields::new(text.as_bytes()),
    };
    let mut step = balancer.begin(&head, &mut ledger, now, Seed(seed));
    for turn in 0..seed {
        let then = match step {
            Step::Send { then, .. } => then,
            Step::Forward { edits, tail } => {
                balancer.finish(tail, BodyEnd::Broken, &mut ledger, now);
                return edits.as_bytes().len();
            }
            Step::Reply(reply) => return reply.body.len(),
        };
        let outcome = if turn % 2 == 0 {
            Outcome::Failed(Failure {
                cause: Cause::ConnectionRefused,
                delivery: Delivery::NotSent,
                replayable: true,
            })
        } else {
            let head = ResponseHead {
                status,
                body: BodySize::None,
                fields: Fields::new(text.as_bytes()),
            };
            Outcome::Head(Arrival {
                head,
                replayable: true,
            })
        };
        if turn > 9 {
            then.abandon(&mut ledger, now);
            let _ = balancer.settle_unknown(outcome, now);
            let encoded = ledger.encode();
            ledger.merge(&encoded);
            return ledger.take_events().len() + usize::from(ledger.next_trial().is_some());
        }
        step = then.settle(outcome, &mut ledger, now);
    }
    0
}
