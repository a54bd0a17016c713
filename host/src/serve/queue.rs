//! Lines on their way to a file, written by a thread of its own.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Items that may wait for the writer, and the bytes of memory that they may
/// take. Whoever does not read the log must not stop the traffic: beyond
/// either, items are lost, and the log says how many.
pub(super) const WAITING: usize = 8192;
pub(super) const WAITING_BYTES: usize = 32 << 20;
/// How many bytes are written at once, or one item more.
const BATCH: usize = 1 << 20;
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
    items: SyncSender<Waiting<T>>,
    account: Arc<Account>,
}

/// An item, and the bytes of memory that it takes.
struct Waiting<T> {
    item: T,
    bytes: usize,
}

/// What became of all items.
#[derive(Debug, Default)]
struct Account {
    handed_over: AtomicU64,
    written: AtomicU64,
    /// Lost since the log last said how many were.
    untold: AtomicU64,
    /// Taken by those that wait.
    bytes: AtomicUsize,
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
        let account = Arc::<Account>::default();
        let writer = Writer {
            render,
            sink,
            account: Arc::clone(&account),
            cut_off: false,
        };
        let thread = thread::Builder::new()
            .name("edgelb-log".to_owned())
            .spawn(move || writer.run(&waiting))?;
        let writer = LogWriter {
            thread,
            account: Arc::clone(&account),
        };
        Ok((Self { items, account }, writer))
    }

    /// Hands over an item that takes so many bytes, unless too many wait.
    pub(super) fn write(&self, item: T, bytes: usize) {
        let account = &self.account;
        account.handed_over.fetch_add(1, Ordering::Relaxed);
        let waiting = account.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > WAITING_BYTES || self.items.try_send(Waiting { item, bytes }).is_err() {
            account.bytes.fetch_sub(bytes, Ordering::Relaxed);
            account.untold.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            account: Arc::clone(&self.account),
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
    account: Arc<Account>,
}

impl LogWriter {
    /// Waits until every line is written, two seconds at most where nobody
    /// reads them; all clones of the log must be gone. Answers how many lines
    /// were lost since it started: they were not taken, not fast enough, or
    /// wait still.
    pub fn join(self) -> u64 {
        self.join_within(FAREWELL)
    }

    fn join_within(self, patience: Duration) -> u64 {
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        if self.thread.is_finished() {
            // Its last counts are seen after this.
            let _ = self.thread.join();
        }
        let written = self.account.written.load(Ordering::Relaxed);
        let handed_over = self.account.handed_over.load(Ordering::Relaxed);
        handed_over.saturating_sub(written)
    }
}

/// What the thread does.
struct Writer<R, W> {
    render: R,
    sink: W,
    account: Arc<Account>,
    /// Whether the last line may have been.
    cut_off: bool,
}

impl<R, W: Write> Writer<R, W> {
    fn run<T>(mut self, waiting: &Receiver<Waiting<T>>)
    where
        R: Render<T>,
    {
        let mut batch = String::new();
        while let Ok(first) = waiting.recv() {
            thread::sleep(GATHER);
            self.write(Some(first), waiting, &mut batch);
        }
        // What was lost while the last of them were written.
        self.write(None, waiting, &mut batch);
    }

    /// Writes this item and those behind it, and how many were lost.
    fn write<T>(
        &mut self,
        mut next: Option<Waiting<T>>,
        waiting: &Receiver<Waiting<T>>,
        batch: &mut String,
    ) where
        R: Render<T>,
    {
        let account = &self.account;
        batch.clear();
        if self.cut_off {
            self.render.resume(batch);
        }
        let mut count = 0;
        while let Some(Waiting { item, bytes }) = next {
            self.render.line(item, batch);
            account.bytes.fetch_sub(bytes, Ordering::Relaxed);
            count += 1;
            let more = batch.len() < BATCH;
            next = more.then(|| waiting.try_recv().ok()).flatten();
        }
        let untold = account.untold.swap(0, Ordering::Relaxed);
        if untold > 0 {
            self.render.lost(untold, batch);
        }
        if count == 0 && untold == 0 {
            return;
        }
        // Whoever reads the log may be gone, or come back.
        let written = self.sink.write_all(batch.as_bytes());
        self.cut_off = written.and_then(|()| self.sink.flush()).is_err();
        if self.cut_off {
            account.untold.fetch_add(untold + count, Ordering::Relaxed);
        } else {
            account.written.fetch_add(count, Ordering::Relaxed);
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
        queue.write("first\n", 6);
        assert_eq!(lines.recv().unwrap(), "fir");
        // What comes before the failure is known is of the next batch, too.
        queue.write("second\n", 7);
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
            queue.write("a line\n", 7);
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

    #[test]
    fn what_waits_takes_no_more_than_so_many_bytes() {
        let (go, told) = channel();
        let (written, lines) = channel();
        let sink = Stalled { go: told, written };
        let (queue, writer) = Queue::start(Plain, sink).unwrap();
        for _ in 0..100 {
            queue.write("a line\n", WAITING_BYTES / 4);
        }
        assert!(queue.account.bytes.load(Ordering::Relaxed) <= WAITING_BYTES);
        queue.write("too large ever to be taken\n", WAITING_BYTES + 1);
        drop((queue, go));
        let lost = writer.join();
        let lines: String = lines.iter().collect();
        let taken = lines.matches("a line").count() as u64;
        // Four wait, and before they did four may have been in the writer's hands.
        assert!((4..=8).contains(&taken), "{taken}");
        assert_eq!(taken + lost, 101);
        assert!(!lines.contains("too large"), "{lines}");
    }

    #[test]
    fn what_waits_still_at_the_end_is_counted_as_lost() {
        let (go, told) = channel();
        let (written, lines) = channel();
        let sink = Stalled { go: told, written };
        let (queue, writer) = Queue::start(Plain, sink).unwrap();
        for _ in 0..10 {
            queue.write("a line\n", 7);
        }
        drop(queue);
        assert_eq!(writer.join_within(Duration::ZERO), 10);
        drop((go, lines));
    }

    /// Hands something over itself, within the first write.
    struct Meanwhile {
        queue: Receiver<Queue<&'static str>>,
        written: Sender<String>,
    }

    impl Write for Meanwhile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Ok(queue) = self.queue.recv() {
                queue.write("too large\n", WAITING_BYTES + 1);
            }
            let _ = (self.written).send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_lost_during_the_last_write_is_told_as_well() {
        let (give, queue) = channel();
        let (written, lines) = channel();
        let (queue, writer) = Queue::start(Plain, Meanwhile { queue, written }).unwrap();
        queue.write("a line\n", 7);
        give.send(queue).unwrap();
        drop(give);
        assert_eq!(writer.join(), 1);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["a line\n", "lost: 1\n"]);
    }
}
