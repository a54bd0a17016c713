//! The plots: traffic, errors, health, latency and share, over one axis of time.

use serde_json::{Value, json};

use super::axis::{count, decimal, duration, float, linear_ticks, log_ticks, percent, plural};
use super::buckets::{Buckets, Slice};
use super::health::COLUMNS;
use super::markup::Markup;
use super::plot::{Frame, Plot, x};
use super::shapes::{Scale, Series, line, stack, sums};
use crate::sim::{Run, Scenario};

/// How high most plots are.
const HEIGHT: u32 = 150;

/// Draws them, and notes for the script what they show.
pub(super) struct Charts<'a> {
    pub(super) run: &'a Run,
    pub(super) scenario: &'a Scenario,
    pub(super) buckets: &'a Buckets,
    pub(super) frame: &'a Frame,
    /// What is told of a time that is pointed at, by plot.
    pub(super) notes: serde_json::Map<String, Value>,
}

impl Charts<'_> {
    pub(super) fn draw(&mut self, page: &mut Markup) {
        self.traffic(page);
        self.errors(page);
        self.health(page);
        self.latency(page);
        self.share(page);
    }

    fn traffic(&mut self, page: &mut Markup) {
        let summary = &self.run.summary;
        let failed = summary.failures;
        let succeeded = summary.requests - summary.left - failed;
        let series = [
            ("ok", "ok", succeeded, self.rates(|it| it.succeeded)),
            ("failed", "failed", failed, self.rates(|it| it.failed)),
            (
                "left",
                "client left",
                summary.left,
                self.rates(|it| it.left),
            ),
        ];
        let series = series.map(|(class, name, sum, values)| {
            Series::new(class, format!("{name} {}", count(sum)), values)
        });
        let sums = sums(&series);
        let (peak, at) = self.peak(&sums);
        let about = if peak > 0.0 {
            format!(
                "Requests per second, by outcome. At most {} a second, at {at}.",
                decimal(peak, 1)
            )
        } else {
            "Requests per second, by outcome. There was none.".to_owned()
        };
        self.stacked(page, "traffic", "Traffic", about, &series, "rate");
    }

    fn errors(&mut self, page: &mut Markup) {
        let attempts = Series::new("attempts", "failed attempts", self.rates(|it| it.attempts));
        let mut series: Vec<_> = (self.buckets.failures.iter().enumerate())
            .map(|(index, name)| {
                let values = self.rates(|it| it.failures.get(index).copied().unwrap_or(0));
                Series::new(format!("failure-{index}"), name, values)
            })
            .collect();
        let tried = self.buckets.slices.iter().map(|it| it.attempts).sum();
        let about = format!(
            "Per second: {} that clients got, and {} at backends.",
            plural(self.run.summary.failures, "failed answer"),
            plural(tried, "failed attempt"),
        );
        let sums = sums(&series);
        let top = sums.iter().chain(&attempts.values).copied();
        let ticks = linear_ticks(top.fold(0.0, f64::max));
        let scale = Scale::Linear(ticks.last().copied().unwrap_or(1.0));
        let all = || series.iter().chain([&attempts]);
        let plot = Plot {
            id: "errors",
            title: "Errors",
            about,
            height: HEIGHT * 2 / 3,
            ticks: scale.labels(&ticks, |it| decimal(it, 3)),
            legend: all()
                .map(|it| (it.class.clone(), it.name.clone()))
                .collect(),
        };
        let places = self.places();
        let shapes = |page: &mut Markup| {
            stack(
                page,
                &places,
                std::slice::from_ref(&attempts),
                &scale,
                plot.height,
            );
            stack(page, &places, &series, &scale, plot.height);
        };
        self.frame.draw(page, &plot, shapes, |_| {});
        series.push(attempts);
        self.note("errors", "rate", &series);
    }

    fn latency(&mut self, page: &mut Markup) {
        let of = |index: usize| -> Vec<Option<u64>> {
            let latencies = self.buckets.slices.iter();
            latencies
                .map(|it| it.latency.and_then(|it| it.get(index).copied()))
                .collect()
        };
        let lines = [("p50", of(0)), ("p95", of(1)), ("p99", of(2))];
        let seen = || lines.iter().flat_map(|(_, values)| values.iter().flatten());
        let least = float(seen().min().copied().unwrap_or(1));
        let greatest = float(seen().max().copied().unwrap_or(1));
        let ticks = log_ticks(least, greatest);
        let scale = Scale::Log(
            ticks.first().copied().unwrap_or(1.0),
            ticks.last().copied().unwrap_or(10.0),
        );
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| self.run.summary.percentile(share));
        let told = |millis: f64| duration(super::axis::whole(millis));
        let plot = Plot {
            id: "latency",
            title: "Latency",
            about: format!(
                "How long answers took to begin, on a logarithmic axis. Over the whole run p50 {}, p95 {}, p99 {}.",
                told(p50),
                told(p95),
                told(p99)
            ),
            height: HEIGHT,
            ticks: scale.labels(&ticks, told),
            legend: lines
                .iter()
                .map(|(name, _)| (format!("{name} line"), (*name).to_owned()))
                .collect(),
        };
        let centre = |index: usize| {
            let (begin, end) = self.buckets.bounds(index);
            x(begin + (end - begin) / 2, self.buckets.span)
        };
        let dash = x(self.buckets.width.min(self.buckets.span), self.buckets.span);
        self.frame.draw(
            page,
            &plot,
            |page| {
                for (name, values) in lines.iter().rev() {
                    let points: Vec<_> = (values.iter().enumerate())
                        .map(|(index, value)| {
                            let y = scale.y(float((*value)?), plot.height);
                            Some((centre(index), y))
                        })
                        .collect();
                    let class = format!("curve {name}");
                    page.empty("path", &[("class", &class), ("d", &line(&points, dash))]);
                }
            },
            |_| {},
        );
        let series =
            lines.map(|(name, values)| json!({ "class": name, "name": name, "values": values }));
        self.notes.insert(
            "latency".to_owned(),
            json!({ "step": self.buckets.width, "format": "time", "series": series }),
        );
    }

    fn share(&mut self, page: &mut Markup) {
        let buckets = self.buckets;
        let name = |index: &usize| {
            let names = &self.run.trace.names.backends;
            names.get(*index).map_or("?", String::as_str)
        };
        let names = buckets.backends.iter().map(name);
        let names = names.chain(buckets.others.then_some("others"));
        let series: Vec<_> = names
            .enumerate()
            .map(|(index, name)| {
                let share = |slice: &Slice| {
                    let sum: usize = slice.answers.iter().sum();
                    let of_it = slice.answers.get(index).copied().unwrap_or(0);
                    float(of_it as u64) / float(sum.max(1) as u64)
                };
                let values = buckets.slices.iter().map(share).collect();
                let class = match index == buckets.backends.len() {
                    true => "others".to_owned(),
                    false => format!("backend-{index}"),
                };
                Series::new(class, name, values)
            })
            .collect();
        let answers: usize = self.run.summary.answers.iter().map(|(_, it)| it).sum();
        let about = format!(
            "Which backend answers came from; {} in all.",
            count(answers)
        );
        self.stacked(page, "share", "Share of answers", about, &series, "share");
    }

    /// Areas on top of one another.
    fn stacked(
        &mut self,
        page: &mut Markup,
        id: &str,
        title: &str,
        about: String,
        series: &[Series],
        format: &str,
    ) {
        let (ticks, of_one) = match format {
            "share" => (vec![0.0, 0.25, 0.5, 0.75, 1.0], true),
            _ => (
                linear_ticks(sums(series).into_iter().fold(0.0, f64::max)),
                false,
            ),
        };
        let scale = Scale::Linear(ticks.last().copied().unwrap_or(1.0));
        let label = |it| if of_one { percent(it) } else { decimal(it, 3) };
        let plot = Plot {
            id,
            title,
            about,
            height: HEIGHT,
            ticks: scale.labels(&ticks, label),
            legend: series
                .iter()
                .map(|it| (it.class.clone(), it.name.clone()))
                .collect(),
        };
        let places = self.places();
        self.frame.draw(
            page,
            &plot,
            |page| {
                stack(page, &places, series, &scale, plot.height);
            },
            |_| {},
        );
        self.note(id, format, series);
    }

    /// Notes what the script tells.
    pub(super) fn note(&mut self, id: &str, format: &str, series: &[Series]) {
        let step = match id {
            "health" => float(self.buckets.span) / float(COLUMNS as u64),
            _ => float(self.buckets.width),
        };
        let rounded = |value: &f64| (value * 1000.0).round() / 1000.0;
        let series: Vec<_> = series
            .iter()
            .map(|it| {
                let values: Vec<_> = it.values.iter().map(|it| short(rounded(it))).collect();
                json!({ "class": it.class, "name": it.name, "values": values })
            })
            .collect();
        let note = json!({ "step": step, "format": format, "series": series });
        self.notes.insert(id.to_owned(), note);
    }

    /// Where slices begin, and the last ends.
    fn places(&self) -> Vec<f64> {
        let span = self.buckets.span;
        let begins = (0..self.buckets.slices.len()).map(|index| self.buckets.bounds(index).0);
        begins.chain([span]).map(|at| x(at, span)).collect()
    }

    fn rates(&self, count: impl Fn(&Slice) -> usize) -> Vec<f64> {
        (self.buckets.slices.iter().enumerate())
            .map(|(index, slice)| self.buckets.rate(index, count(slice)))
            .collect()
    }

    /// The greatest of the values, and when.
    fn peak(&self, values: &[f64]) -> (f64, String) {
        let mut peak = (0.0, 0);
        for (index, value) in values.iter().enumerate() {
            if *value > peak.0 {
                peak = (*value, index);
            }
        }
        (peak.0, duration(self.buckets.bounds(peak.1).0))
    }
}

/// Whole numbers without a point.
fn short(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(super::axis::whole(value))
    } else {
        json!(value)
    }
}
