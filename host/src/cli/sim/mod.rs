//! `edgelb sim`: scenarios in virtual time.

mod progress;
mod told;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail};
use edgelb_host::Door;
use edgelb_host::sim::{Recording, RecordingError, Scenario, Simulation, Sweep, shrink};

use super::args::{DoorArg, SimArgs};
use super::log_file::is_one;
use super::say_all;
use progress::{Progress, watched};
use told::{comparison, shown, table, title, verdict};

/// How many smaller scenarios are tried before the smallest so far must do.
const SHRINKING: usize = 500;

pub(super) fn run(args: &SimArgs) -> anyhow::Result<()> {
    if args.files.len() > 1 && (args.trace.is_some() || args.report.is_some()) {
        bail!("--trace and --report are of one scenario: give one file");
    }
    check_outputs(args)?;
    let mut subjects: Vec<_> = (args.files.iter())
        .map(|file| Subject {
            scenario: Some(file),
            recording: args.replay.as_deref(),
        })
        .collect();
    if subjects.is_empty() {
        subjects.push(Subject {
            scenario: None,
            recording: args.replay.as_deref(),
        });
    }
    // What is wrong with any of them is said before the first is run.
    let simulations: anyhow::Result<Vec<_>> =
        subjects.iter().map(|subject| load(subject, args)).collect();
    let mut failed = 0;
    for (subject, simulation) in subjects.iter().zip(simulations?) {
        let passed = match &args.seeds {
            Some(seeds) => sweep(subject, &simulation, seeds.clone(), args)?,
            None => once(subject, &simulation, args)?,
        };
        failed += usize::from(!passed);
    }
    if failed > 0 {
        bail!("{failed} of {} scenarios failed", subjects.len());
    }
    Ok(())
}

/// What is written is a file of its own: to write where something is read from
/// would be the end of that.
fn check_outputs(args: &SimArgs) -> anyhow::Result<()> {
    let replay = args.replay.as_deref().map(|file| ("--replay", file));
    let component = args.component.as_deref().map(|file| ("--component", file));
    let read = args
        .files
        .iter()
        .map(|file| ("the scenario", file.as_path()));
    let mut taken: Vec<_> = read.chain(replay).chain(component).collect();
    let outputs = [("--trace", &args.trace), ("--report", &args.report)];
    for (flag, file) in outputs {
        let Some(file) = file.as_deref() else {
            continue;
        };
        let name = file.display();
        if file == Path::new("-") {
            bail!("{flag} `-`: stdout is where the table goes; expected a file (`./-` is one)");
        }
        if let Some((other, _)) = taken.iter().find(|(_, other)| is_same(file, other)) {
            bail!("{flag} `{name}` is the file of {other}, too; expected one each");
        }
        taken.push((flag, file));
    }
    Ok(())
}

/// Whether both are the same file, however they are spelt, there or not.
fn is_same(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).ok();
    absolute(one) == absolute(other) || is_one(one, other)
}

/// What is run: a scenario, a recording, or one on top of the other.
struct Subject<'a> {
    scenario: Option<&'a Path>,
    recording: Option<&'a Path>,
}

impl Subject<'_> {
    /// The file that it is called after.
    fn file(&self) -> &Path {
        self.scenario.or(self.recording).unwrap_or(Path::new("-"))
    }

    /// The command that runs it again.
    fn command(&self, seed: u64, args: &SimArgs) -> String {
        let mut command = "edgelb sim".to_owned();
        if let Some(recording) = self.recording {
            command.push_str(&format!(" --replay {}", quoted(recording)));
        }
        if args.door == DoorArg::WasiHttp {
            command.push_str(" --door wasi-http");
        }
        if let Some(component) = &args.component {
            command.push_str(&format!(" --component {}", quoted(component)));
        }
        if let Some(scenario) = self.scenario {
            command.push_str(&format!(" {}", quoted(scenario)));
        }
        command + &format!(" --seed {seed}")
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+=:,".contains(it);
    if path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

/// Reads a recording, and says what is missing in it.
fn recording(file: &Path) -> anyhow::Result<Recording> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("--replay `{name}` cannot be opened"))?;
    let recording = match Recording::read(opened) {
        Err(error @ RecordingError::NoRecording { .. }) => {
            let hint = if is_scenario(file) {
                format!("; it is a scenario: `edgelb sim {}` runs it", quoted(file))
            } else {
                String::new()
            };
            bail!("--replay: `{name}` {error}{hint}");
        }
        read => read.with_context(|| format!("--replay `{name}`"))?,
    };
    for line in recording.cut_off() {
        eprintln!("{name}: line {line} was cut off, and is left out");
    }
    if recording.lost() > 0 {
        let lost = recording.lost();
        eprintln!("{name}: {lost} exchanges were not recorded: they came too fast");
    }
    Ok(recording)
}

/// Whether this can only be meant as one, whatever may be wrong with it.
fn is_scenario(file: &Path) -> bool {
    let parses = |text: String| !text.trim().is_empty() && Scenario::fragment(&text).is_ok();
    file.extension().is_some_and(|it| it == "toml")
        || std::fs::read_to_string(file).is_ok_and(parses)
}

/// The same of recordings.
fn is_recording(text: &str) -> bool {
    let read = text.parse::<Recording>();
    !matches!(read, Err(RecordingError::NoRecording { .. }))
}

fn load(subject: &Subject<'_>, args: &SimArgs) -> anyhow::Result<Simulation> {
    let name = subject.file().display();
    let text = match subject.scenario {
        None => String::new(),
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("`{name}` cannot be read"))?
        }
    };
    // Names that it does not explain may be the recording's.
    let scenario = match subject.recording {
        Some(_) => Scenario::fragment(&text),
        None => text.parse(),
    };
    let scenario = match (scenario, subject.scenario) {
        (Err(_), Some(file)) if is_recording(&text) => bail!(
            "`{name}` is a recording, no scenario; `edgelb sim --replay {}` plays it",
            quoted(file)
        ),
        (scenario, _) => scenario.with_context(|| format!("`{name}`"))?,
    };
    let mut builder = Simulation::of(scenario).door(match args.door {
        DoorArg::Exchange => Door::Exchange,
        DoorArg::WasiHttp => Door::WasiHttp,
    });
    if let Some(component) = &args.component {
        let bytes = std::fs::read(component)
            .with_context(|| format!("--component `{}` cannot be read", component.display()))?;
        builder = builder.component(bytes);
    }
    if let Some(file) = subject.recording {
        builder = builder.replay(recording(file)?);
    }
    builder.build().with_context(|| format!("`{name}`"))
}

/// One run of a scenario: what came of it, and whether that was expected.
fn once(subject: &Subject<'_>, simulation: &Simulation, args: &SimArgs) -> anyhow::Result<bool> {
    let scenario = simulation.scenario();
    let seed = args.seed.unwrap_or(scenario.seed);
    // Better known before the run than after it.
    let trace = created("--trace", args.trace.as_deref())?;
    let report = created("--report", args.report.as_deref())?;
    let began = Instant::now();
    let run = watched(simulation, || simulation.run_seed(seed))?;
    let took = began.elapsed();
    say!("{}", title(subject.file(), scenario));
    say!(
        "seed {seed}: {} of virtual time and {} requests in {:.2} s",
        humantime::format_duration(scenario.duration),
        run.summary.requests,
        took.as_secs_f64()
    );
    say!();
    say_all(&table(&run.summary));
    if let Some(recording) = simulation.recording() {
        say!();
        say_all(&comparison(recording, &run.replayed()));
    }
    if let Some(mut writer) = trace {
        let written = run.trace.write(&mut writer).and_then(|()| writer.flush());
        written.context("--trace cannot be written")?;
    }
    if let Some(mut writer) = report {
        let violations: Vec<_> = run.violations.iter().map(ToString::to_string).collect();
        let page = run.report(scenario, &violations);
        let written = writer
            .write_all(page.as_bytes())
            .and_then(|()| writer.flush());
        written.context("--report cannot be written")?;
    }
    if args.trace.is_some() || args.report.is_some() {
        say!();
    }
    for (what, path) in [("trace", &args.trace), ("report", &args.report)] {
        if let Some(path) = path {
            say!("{what}: {}", path.display());
        }
    }
    Ok(verdict(scenario, &run))
}

/// The file that a flag asks for.
fn created(flag: &str, path: Option<&Path>) -> anyhow::Result<Option<BufWriter<File>>> {
    let Some(path) = path else {
        return Ok(None);
    };
    let file = File::create(path)
        .with_context(|| format!("{flag} `{}` cannot be written", path.display()))?;
    Ok(Some(BufWriter::new(file)))
}

/// Many runs of a scenario, up to the first that fails.
fn sweep(
    subject: &Subject<'_>,
    simulation: &Simulation,
    seeds: Range<u64>,
    args: &SimArgs,
) -> anyhow::Result<bool> {
    let scenario = simulation.scenario();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = seeds.end - seeds.start;
    let sweep = Sweep {
        seeds,
        threads: args.threads.map_or(cores, NonZeroUsize::get),
    };
    let progress = Progress::new(count);
    let began = Instant::now();
    let swept = sweep.run(simulation, |done| progress.tell(done))?;
    progress.end();
    say!("{}", title(subject.file(), scenario));
    let seconds = began.elapsed().as_secs_f64();
    match &swept.failed {
        None => say!("{} of {count} seeds passed in {seconds:.1} s", swept.passed),
        Some(run) => say!(
            "seed {} failed after {} that passed, in {seconds:.1} s; the rest was not run",
            run.seed,
            swept.passed
        ),
    }
    for (measure, least, most) in &swept.extremes {
        let (least, most) = (shown(measure, *least), shown(measure, *most));
        say!("  {:<16}{least} .. {most}", measure.to_string());
    }
    say!();
    let Some(run) = swept.failed else {
        return Ok(true);
    };
    say!("seed {} fails:", run.seed);
    verdict(scenario, &run);
    say!("again: {}", subject.command(run.seed, args));
    if let Some(violation) = run.violations.first() {
        let smallest = shrink(simulation, run.seed, violation.law, SHRINKING)?;
        say!("the smallest scenario found that breaks the same law:\n\n{smallest}");
    }
    Ok(false)
}
