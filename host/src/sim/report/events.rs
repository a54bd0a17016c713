//! The table of events.

use super::axis::{cut, duration};
use super::markup::Markup;
use super::tables::{CHARACTERS, Cells, rest, table};
use crate::sim::trace::{Entry, Isolate, Names, Trace};

/// How many are told one by one.
const EVENTS: usize = 100;

/// What is worth a line, as it happened.
pub(super) fn events(page: &mut Markup, trace: &Trace) {
    let names = &trace.names;
    let mut told = trace.entries.iter().filter_map(|it| event(it, names));
    let events: Vec<_> = told.by_ref().take(EVENTS).collect();
    let number = events.len() + told.count();
    if events.is_empty() {
        return;
    }
    let heads = ["time", "event", "backend", "where", "why"];
    table(page, "Events", Cells::Text, &heads, |page| {
        for (at, [class, what, backend, place, why]) in events {
            page.element("tr", &[], |page| {
                page.leaf("th", &[("scope", &"row")], duration(at));
                page.element("td", &[], |page| {
                    page.leaf("i", &[("class", &format_args!("dot {class}"))], "");
                    page.text(what);
                });
                for cell in [backend, place, why] {
                    page.leaf("td", &[], cell);
                }
            });
        }
    });
    rest(page, number, EVENTS);
}

/// When, and the cells of its row: class, what, backend, where, why.
fn event(entry: &Entry, names: &Names) -> Option<(u64, [String; 5])> {
    let backend = |index: &usize| {
        let name = names.backends.get(*index);
        name.cloned().unwrap_or_default()
    };
    let place = |isolate: &Isolate| {
        let location = names.locations.get(isolate.location);
        let location = location.map_or("", String::as_str);
        format!("{location}, isolate {}", isolate.number)
    };
    let row = |class: &str, what: &str, backend, place, why| {
        [class.to_owned(), what.to_owned(), backend, place, why]
    };
    match entry {
        Entry::Ejected {
            at,
            isolate,
            backend: index,
            until,
            reason,
        } => {
            let length = duration(until.saturating_sub(*at));
            let why = format!("{}, for {length}", cut(reason, CHARACTERS));
            Some((
                *at,
                row("ejected", "ejected", backend(index), place(isolate), why),
            ))
        }
        Entry::Recovered {
            at,
            isolate,
            backend: index,
        } => {
            let row = row(
                "ok",
                "recovered",
                backend(index),
                place(isolate),
                String::new(),
            );
            Some((*at, row))
        }
        Entry::Lost {
            at,
            isolate,
            reason,
        } => {
            let row = row(
                "failed",
                "instance lost",
                String::new(),
                place(isolate),
                cut(reason, CHARACTERS),
            );
            Some((*at, row))
        }
        Entry::Exceeded {
            at,
            isolate,
            request,
            limit,
        } => {
            let place = isolate.as_ref().map(place).unwrap_or_default();
            let by = request.map(|it| format!(", by request {it}"));
            let why = format!("{limit}{}", by.unwrap_or_default());
            Some((
                *at,
                row("failed", "limit exceeded", String::new(), place, why),
            ))
        }
        Entry::Exchange(_)
        | Entry::Trial { .. }
        | Entry::Told { .. }
        | Entry::Started { .. }
        | Entry::Evicted { .. } => None,
    }
}
