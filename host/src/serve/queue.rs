//! Lines on their way to a file, written by a thread of its own.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Items that may wait for the writer. Whoever does not read the log must not
/// stop the traffic: beyond this, items are lost, and the log says how many.
pub(super) const WAITING: usize = 8192;
/// How long an item waits for others. To wake a thread and to write for every
/// line would cost as much as half the request.
const GATHER: Duration = Duration::from_millis(10);
/// How long the writer has for what is left when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// How items become lines; on the writer's thread.
pub(super) trait Render<T>: Send + 'static {
    /// The line of an item, with its line feed.
    fn line(&mut self, item: T, text: &mut String);

    /// The line that says how many were lost, likewise.
    fn lost(&mut self, count: u64, text: &mut String);

    /// What comes before the next line where one may have been cut off: nothing,
    /// unless whoever reads them needs more.
    fn resume(&mut self, _text: &mut String) {}
}

/// A queue of items, written by a thread of its own in as few writes as it can.
pub(super) struct Queue<T> {
    items: SyncSender<T>,
    lost: Arc<Lost>,
}

/// How many items were lost.
#[derive(Debug, Default)]
struct Lost {
    untold: AtomicU64,
    all: AtomicU64,
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the writer. It ends, everything written, when the last clone is gone.
    ///
    /// # Errors
    /// The thread does not start.
    pub(super) fn start(
        render: impl Render<T>,
        sink: impl Write + Send + 'static,
    ) -> io::Result<(Self, LogWriter)> {
        let (items, waiting) = sync_channel(WAITING);
        let lost = Arc::<Lost>::default();
        let losses = Arc::clone(&lost);
        let thread = thread::Builder::new()
            .name("edgelb-log".to_owned())
            .spawn(move || write(render, &waiting, &losses, sink))?;
        let writer = LogWriter {
            thread,
            lost: Arc::clone(&lost),
        };
        Ok((Self { items, lost }, writer))
    }

    /// Hands over an item, unless too many wait.
    pub(super) fn write(&self, item: T) {
        if self.items.try_send(item).is_err() {
            self.lost.untold.fetch_add(1, Ordering::Relaxed);
            self.lost.all.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            lost: Arc::clone(&self.lost),
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// The thread behind an [`AccessLog`](super::AccessLog) or a
/// [`Recorder`](super::Recorder).
#[derive(Debug)]
pub struct LogWriter {
    thread: thread::JoinHandle<()>,
    lost: Arc<Lost>,
}

impl LogWriter {
    /// Waits until every line is written, two seconds at most where nobody
    /// reads them; all clones of the log must be gone. Answers how many lines
    /// were lost since it started, because they were not taken, or not fast
    /// enough.
    pub fn join(self) -> u64 {
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(1));
        }
        self.lost.all.load(Ordering::Relaxed)
    }
}

fn write<T>(mut render: impl Render<T>, waiting: &Receiver<T>, lost: &Lost, mut sink: impl Write) {
    let mut batch = String::new();
    let mut cut_off = false;
    while let Ok(item) = waiting.recv() {
        thread::sleep(GATHER);
        batch.clear();
        if cut_off {
            render.resume(&mut batch);
        }
        render.line(item, &mut batch);
        let mut count = 1;
        for item in waiting.try_iter().take(WAITING) {
            render.line(item, &mut batch);
            count += 1;
        }
        let untold = lost.untold.swap(0, Ordering::Relaxed);
        if untold > 0 {
            render.lost(untold, &mut batch);
        }
        // Whoever reads the log may be gone, or come back.
        let written = sink.write_all(batch.as_bytes());
        cut_off = written.and_then(|()| sink.flush()).is_err();
        if cut_off {
            lost.untold.fetch_add(untold + count, Ordering::Relaxed);
            lost.all.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A reader that reads nothing until it is told to.
    struct Stalled {
        go: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            let _ = self
                .written
                .send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Plain;

    impl Render<&'static str> for Plain {
        fn line(&mut self, item: &str, text: &mut String) {
            text.push_str(item);
        }

        fn lost(&mut self, count: u64, text: &mut String) {
            text.push_str(&format!("lost: {count}\n"));
        }

        fn resume(&mut self, text: &mut String) {
            text.push_str("\nagain\n");
        }
    }

    /// Takes a part of the first batch, then fails; then takes all.
    struct Filling {
        writes: u32,
        written: Sender<String>,
    }

    impl Write for Filling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            let taken = match self.writes {
                1 => 3,
                2 => return Err(io::ErrorKind::StorageFull.into()),
                _ => bytes.len(),
            };
            let _ = (self.written).send(String::from_utf8_lossy(&bytes[..taken]).into_owned());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_line_was_cut_off_it_is_taken_up_and_the_loss_is_told() {
        let (written, lines) = channel();
        let (queue, writer) = Queue::start(Plain, Filling { writes: 0, written }).unwrap();
        queue.write("first\n");
        assert_eq!(lines.recv().unwrap(), "fir");
        // What comes before the failure is known is of the next batch, too.
        queue.write("second\n");
        drop(queue);
        assert_eq!(writer.join(), 1);
        let rest: String = lines.iter().collect();
        assert_eq!(rest, "\nagain\nsecond\nlost: 1\n");
    }

    #[test]
    fn a_log_that_nobody_reads_loses_lines_and_stops_no_request() {
        let (go, told) = channel();
        let (written, lines) = channel();
        let sink = Stalled { go: told, written };
        let (queue, writer) = Queue::start(Plain, sink).unwrap();
        for _ in 0..3 * WAITING {
            queue.write("a line\n");
        }
        drop((queue, go));
        let lost = writer.join();
        assert!(lost > 0);
        let lines: String = lines.iter().collect();
        assert!(
            lines.contains(&format!("lost: {lost}\n")),
            "{}",
            lines.len()
        );
    }
}
