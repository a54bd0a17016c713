//! Whether the parts of a scenario go together.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::Method;
use http::uri::{Authority, PathAndQuery};
use humantime::format_duration;

use super::super::identity::Identity;
use super::values::LONGEST;
use super::{Fault, FaultKind, Scenario, Unit};

/// Where the component runs unless the scenario says.
pub(crate) const DEFAULT_LOCATION: &str = "edge";
/// What one machine can hold of each: more is a slip of the finger.
const MOST_ISOLATES: usize = 1_000;
const MOST_WORKERS: usize = 1_000_000;
const MOST_CLIENTS: usize = 1 << 16;
const MOST_GROUPS: usize = 256;
const MOST_BYTES: usize = 64 << 20;
/// A second, of one group.
const MOST_REQUESTS: f64 = 100_000.0;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What does not go together with the rest, and where it is said.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) path: Vec<Step>,
    message: String,
}

/// A step down a scenario's tree.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// The path of a dotted key.
fn keys(dotted: &str) -> Vec<Step> {
    let keys = dotted.split('.');
    keys.map(|key| Step::Key(key.to_owned())).collect()
}

/// What is being looked at, and what was found of it so far.
struct Checker<'a> {
    problems: &'a mut Vec<Problem>,
    table: &'static str,
    index: usize,
    subject: String,
}

impl Scenario {
    /// What does not go together, in a run that is over at this time.
    pub(super) fn problems(&self, end: Option<Duration>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.duration > LONGEST {
            problems.push(Problem {
                path: keys("duration"),
                message: "duration: expected ten years at most".to_owned(),
            });
        }
        if end.is_some_and(|end| end.is_zero()) {
            problems.push(Problem {
                path: keys("duration"),
                message: "duration: expected more than nothing".to_owned(),
            });
        }
        let host = self.host.parse::<Authority>();
        if host.is_err() || self.host.contains('@') {
            problems.push(Problem {
                path: keys("host"),
                message: format!("host: `{}` is no `host` or `host:port`", self.host),
            });
        }
        let locations: Vec<_> = self.locations.iter().map(|it| it.name.as_str()).collect();
        let locations = if locations.is_empty() {
            vec![DEFAULT_LOCATION]
        } else {
            locations
        };
        let backends: Vec<_> = self.backends.iter().map(|it| it.name.as_str()).collect();
        for (index, location) in self.locations.iter().enumerate() {
            let subject = format!("location `{}`", location.name);
            let mut check = Checker::new(&mut problems, "location", index, subject);
            check.name("name", &location.name, locations.get(..index));
            check.at_most("isolates", location.isolates.get(), MOST_ISOLATES);
        }
        for (index, backend) in self.backends.iter().enumerate() {
            let subject = format!("backend `{}`", backend.name);
            let mut check = Checker::new(&mut problems, "backend", index, subject);
            check.name("name", &backend.name, backends.get(..index));
            let named = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
            if !backend.name.chars().all(named) {
                check.tell(
                    "name",
                    "expected capitals, digits and `_`, as in `BACKEND_<NAME>`",
                );
            }
            if let Some(rate) = backend.rate_limit {
                check.positive("rate-limit", rate);
            }
            check.at_most("body", backend.body, MOST_BYTES);
            let workers = backend.workers.map_or(0, NonZeroUsize::get);
            check.at_most("workers", workers, MOST_WORKERS);
            if backend.queue.is_some() && backend.workers.is_none() {
                check.tell("queue", "needs `workers`, without which nobody waits");
            }
        }
        for (index, link) in self.links.iter().enumerate() {
            let subject = format!("link {}", index + 1);
            let mut check = Checker::new(&mut problems, "link", index, subject);
            check.one_of("location", "location", &link.location, &locations);
            check.one_of("backend", "backend", &link.backend, &backends);
        }
        let groups: Vec<_> = self.clients.iter().map(|it| it.name.as_str()).collect();
        for (index, clients) in self.clients.iter().enumerate() {
            let subject = format!("clients `{}`", clients.name);
            let mut check = Checker::new(&mut problems, "clients", index, subject);
            check.name("name", &clients.name, groups.get(..index));
            check.begins(clients.at, end);
            check.identity(&clients.name, groups.get(..index));
            if index == MOST_GROUPS {
                check.say("name", "there are more than 256 groups");
            }
            match (clients.rate, clients.think) {
                (Some(rate), None) if rate > MOST_REQUESTS => {
                    let message = format!("`{rate}` is more than {MOST_REQUESTS} a second");
                    check.tell("rate", &message);
                }
                (Some(rate), None) => check.positive("rate", rate),
                (None, Some(_)) => {}
                (Some(_), Some(_)) => check.say("think", "`rate` and `think` exclude each other"),
                (None, None) => check.say("name", "one of `rate` and `think` must be given"),
            }
            check.at_most("count", clients.count.get() as usize, MOST_CLIENTS);
            check.at_most("body", clients.body, MOST_BYTES);
            if let Some(location) = &clients.location {
                check.one_of("location", "location", location, &locations);
            }
            let target = clients
                .path
                .replace("{client}", "0")
                .parse::<PathAndQuery>();
            if !clients.path.starts_with('/') || target.is_err() {
                let message = format!(
                    "`{}` is no path: it begins with `/`, without spaces",
                    clients.path
                );
                check.tell("path", &message);
            }
            for method in clients.methods.keys() {
                if method.parse::<Method>().is_err() || method == "CONNECT" {
                    check.tell("methods", &format!("`{method}` is no method of a request"));
                } else if *method != method.to_ascii_uppercase() {
                    let meant = method.to_ascii_uppercase();
                    let message = format!("`{method}`: case matters; expected `{meant}`");
                    check.tell("methods", &message);
                }
            }
            if clients.methods.values().all(|weight| *weight == 0) {
                check.tell("methods", "at least one must be more than 0");
            }
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let subject = format!("fault {}", index + 1);
            let mut check = Checker::new(&mut problems, "fault", index, subject);
            if let Some(backend) = &fault.backend {
                check.one_of("backend", "backend", backend, &backends);
            }
            if let Some(location) = &fault.location {
                check.one_of("location", "location", location, &locations);
            }
            check.begins(fault.at, end);
            check.fault(fault);
        }
        for (measure, bound) in self.expect.bounds() {
            let most = bound.min.into_iter().chain(bound.max).fold(0.0, f64::max);
            if measure.unit() == Unit::Share && most > 1.0 {
                let bound = Unit::Share.spell(&bound);
                problems.push(Problem {
                    path: keys(&format!("expect.{measure}")),
                    message: format!(
                        "expect: {measure}: `{bound}` is more than all: expected up to 100 % or 1.0"
                    ),
                });
            }
        }
        for name in self.expect.share.keys() {
            if !backends.contains(&name.as_str()) {
                problems.push(Problem {
                    path: keys(&format!("expect.share.{name}")),
                    message: format!("expect: share: there is no backend `{name}`"),
                });
            }
        }
        problems
    }
}

impl<'a> Checker<'a> {
    fn new(
        problems: &'a mut Vec<Problem>,
        table: &'static str,
        index: usize,
        subject: String,
    ) -> Self {
        Self {
            problems,
            table,
            index,
            subject,
        }
    }

    fn say(&mut self, field: &'static str, message: &str) {
        self.problems.push(Problem {
            path: vec![
                Step::Key(self.table.to_owned()),
                Step::Index(self.index),
                Step::Key(field.to_owned()),
            ],
            message: format!("{}: {message}", self.subject),
        });
    }

    fn tell(&mut self, field: &'static str, message: &str) {
        self.say(field, &format!("{field}: {message}"));
    }

    fn name(&mut self, field: &'static str, name: &str, before: Option<&[&str]>) {
        if name.is_empty() {
            self.tell(field, "must not be empty");
        }
        if before.is_some_and(|before| before.contains(&name)) {
            self.tell(field, "there is another of that name");
        }
    }

    /// One name in two million is taken by another.
    fn identity(&mut self, name: &str, before: Option<&[&str]>) {
        let same =
            |other: &&&str| **other != name && Identity::of(other).collides(Identity::of(name));
        if let Some(other) = before.and_then(|before| before.iter().find(same)) {
            let message = format!("requests would have the ids of those of `{other}`: rename it");
            self.tell("name", &message);
        }
    }

    fn one_of(&mut self, field: &'static str, kind: &str, name: &str, names: &[&str]) {
        if names.contains(&name) {
            return;
        }
        let known: BTreeSet<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let known: Vec<_> = known.into_iter().collect();
        let known = match &*known {
            [] => "none is described".to_owned(),
            known => format!("there is {}", known.join(", ")),
        };
        self.tell(field, &format!("there is no {kind} `{name}`; {known}"));
    }

    fn at_most(&mut self, field: &'static str, number: usize, most: usize) {
        if number > most {
            self.tell(field, &format!("`{number}` is more than {most}"));
        }
    }

    fn positive(&mut self, field: &'static str, number: f64) {
        if !(number > 0.0 && number.is_finite()) {
            self.tell(field, &format!("`{number}` is no number above 0"));
        }
    }

    /// What begins when all is over never happens.
    fn begins(&mut self, at: Duration, end: Option<Duration>) {
        if let Some(end) = end.filter(|end| !end.is_zero() && at >= *end) {
            let (at, end) = (format_duration(at), format_duration(end));
            let message = format!("`{at}` is not before the end: the scenario's duration is {end}");
            self.tell("at", &message);
        }
    }

    fn fault(&mut self, fault: &Fault) {
        let kind = fault.kind;
        let own = [
            ("status", fault.status.is_some(), FaultKind::Error),
            ("retry-after", fault.retry_after.is_some(), FaultKind::Error),
            ("factor", fault.factor.is_some(), FaultKind::Slow),
            ("latency", fault.latency.is_some(), FaultKind::Delay),
        ];
        for (field, given, owner) in own {
            if given && kind != owner {
                let (owner, kind) = (owner.name(), kind.name());
                self.tell(field, &format!("goes with kind `{owner}`, not `{kind}`"));
            }
        }
        if let Some(status) = fault.status
            && !(400..=599).contains(&status)
        {
            self.tell(
                "status",
                &format!("`{status}` is no error; expected 400 to 599"),
            );
        }
        if let Some(factor) = fault.factor {
            self.positive("factor", factor);
        }
        let times = [Some(fault.at), fault.lasting, fault.every, fault.until];
        if times.into_iter().flatten().any(|time| time > LONGEST) {
            self.tell("at", "expected times of ten years at most");
        }
        if fault.until.is_some() && fault.every.is_none() {
            self.tell("until", "needs `every`");
        }
        match (fault.every, fault.lasting) {
            (Some(every), _) if every < MILLISECOND => {
                self.tell("every", "must be a millisecond at least");
            }
            (Some(_), None) => self.tell("every", "needs `for`: each time, it must end"),
            (Some(every), Some(length)) if length >= every => {
                self.tell("every", "must be longer than `for`");
            }
            _ => {}
        }
    }
}
