//! One decision: by the door, with what crossing it costs; and the core alone,
//! compiled natively, for pools of several sizes.
//!
//! ```console
//! $ cargo bench --locked -p edgelb-bench --bench decision
//! ```

use anyhow::{Context as _, bail};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use edgelb_artifacts::BALANCER;
use edgelb_balancer::{
    Arrival, Attempt, Balancer, BodySize, Fields, InFlight, Ledger, Outcome, RequestHead,
    ResponseHead, Scheme, Seed, Step, Timestamp,
};
use edgelb_bench::door::{self, Door, Metered, environment};

const NOW: Timestamp = Timestamp::from_millis(door::NOW);

/// How many backends there are.
const POOLS: [usize; 3] = [3, 30, 300];

/// Who asks: a client that has its session, or one that gets it with its
/// response, and whose backend is computed.
const CLIENTS: [&str; 2] = ["session", "new client"];

fn by_the_door(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("door");
    for pool in POOLS {
        let mut door = open(pool);
        let session = door.request_with_session();
        let session = session.unwrap_or_else(|trap| panic!("{trap:#}"));
        for (client, request) in CLIENTS.into_iter().zip([&*session, door::REQUEST]) {
            group.bench_function(BenchmarkId::new(client, pool), |bencher| {
                bencher.iter(|| door.decide(request.as_bytes()));
            });
        }
    }
    let mut door = open(POOLS[0]);
    group.bench_function("nothing decided", |bencher| bencher.iter(|| door.cross()));
    group.finish();
}

fn open(pool: usize) -> Door {
    Door::open(BALANCER, environment(pool), Metered::No).unwrap_or_else(|error| panic!("{error:#}"))
}

fn the_core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    for pool in POOLS {
        let mut core = Core::new(pool).unwrap_or_else(|error| panic!("{error:#}"));
        let session = core.session().unwrap_or_else(|error| panic!("{error:#}"));
        for (client, request) in CLIENTS.into_iter().zip([&*session, fields()]) {
            group.bench_function(BenchmarkId::new(client, pool), |bencher| {
                bencher.iter(|| core.decide(request));
            });
        }
    }
    group.finish();
}

/// The core, as a program would call it that has no component.
struct Core {
    balancer: Balancer,
    ledger: Ledger,
}

impl Core {
    fn new(pool: usize) -> anyhow::Result<Self> {
        let configuration = edgelb_config::from_env(environment(pool))
            .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let ledger = Ledger::new(&configuration.policy);
        let balancer = Balancer::new(configuration.policy);
        let balancer = balancer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(Self { balancer, ledger })
    }

    /// All that a request with an ordinary response takes.
    fn decide(&mut self, fields: &str) -> anyhow::Result<()> {
        let (attempt, then) = self.begin(fields)?;
        if attempt.ordinary.is_some() {
            then.conclude();
        } else {
            self.settle(then)?;
        }
        Ok(())
    }

    fn begin(&mut self, fields: &str) -> anyhow::Result<(Attempt, InFlight)> {
        let head = RequestHead {
            method: "GET",
            scheme: Scheme::Http,
            authority: "lb.example",
            target: "/stream/movie/tt0111161.json",
            peer: Some([127, 0, 0, 1].into()),
            body: BodySize::None,
            fields: Fields::new(fields.as_bytes()),
        };
        match (self.balancer).begin(&head, &mut self.ledger, NOW, Seed(7)) {
            Step::Send { attempt, then } => Ok((attempt, then)),
            Step::Forward { .. } | Step::Reply(_) => bail!("it is not sent"),
        }
    }

    /// The edits to the response.
    fn settle(&mut self, then: InFlight) -> anyhow::Result<Vec<u8>> {
        let outcome = Outcome::Head(Arrival {
            head: ResponseHead {
                status: 200,
                body: BodySize::Known(4),
                fields: Fields::new(door::RESPONSE.as_bytes()),
            },
            replayable: true,
        });
        match then.settle(outcome, &mut self.ledger, NOW) {
            Step::Forward { edits, .. } => Ok(edits.as_bytes().to_vec()),
            Step::Send { .. } | Step::Reply(_) => bail!("it is not forwarded"),
        }
    }

    fn session(&mut self) -> anyhow::Result<String> {
        let (_, then) = self.begin(fields())?;
        let edits = self.settle(then)?;
        let edits = String::from_utf8_lossy(&edits);
        let (_, session) = edits
            .split_once("set-cookie:")
            .context("no session is set")?;
        let session = session.split(';').next().unwrap_or_default();
        Ok(format!("{}cookie:a=1; {session}; b=2\n", fields()))
    }
}

/// What is left of the head without what the core takes apart.
fn fields() -> &'static str {
    door::REQUEST
        .find("host:lb")
        .map_or("", |start| &door::REQUEST[start..])
}

criterion_group!(decisions, by_the_door, the_core);
criterion_main!(decisions);
