//! When the next request is due.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

/// Tells clients when to send.
pub(super) enum Pace {
    /// At once, until the end.
    Closed { end: Instant },
    /// By the schedule.
    Open(Mutex<Schedule>),
}

/// Moments at a constant distance. Whoever is idle waits in line for the next.
pub(super) struct Schedule {
    begin: Instant,
    interval: Duration,
    next: u32,
    count: u32,
    /// Tokio's own timers count in milliseconds.
    timer: AsyncFd<OwnedFd>,
}

impl Pace {
    pub(super) fn closed(duration: Duration) -> Self {
        let end = Instant::now() + duration;
        Self::Closed { end }
    }

    pub(super) fn open(per_second: u32, duration: Duration) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "unsound for what may lose its descriptor; this owns it"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self::Open(Mutex::new(Schedule {
            begin: Instant::now(),
            interval: Duration::from_secs(1) / per_second,
            next: 0,
            count: (f64::from(per_second) * duration.as_secs_f64()) as u32,
            timer,
        })))
    }

    /// Waits until a request is due and tells since when; `None` after the last.
    pub(super) async fn due(&self) -> io::Result<Option<Instant>> {
        match self {
            Self::Closed { end } => {
                let now = Instant::now();
                Ok((now < *end).then_some(now))
            }
            Self::Open(schedule) => schedule.lock().await.due().await,
        }
    }
}

impl Schedule {
    async fn due(&mut self) -> io::Result<Option<Instant>> {
        if self.next == self.count {
            return Ok(None);
        }
        let due = self.begin + self.interval * self.next;
        self.next += 1;
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.sleep(left).await?;
        }
        Ok(Some(due))
    }

    async fn sleep(&self, duration: Duration) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(duration).map_err(io::Error::other)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?));
            match read {
                Ok(read) => return read.map(drop),
                Err(_not_yet) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn a_schedule_is_kept_and_what_is_late_stays_due_when_it_was() {
        let Pace::Open(schedule) = Pace::open(1_000, Duration::from_millis(5)).unwrap() else {
            panic!("expected a schedule");
        };
        let mut schedule = schedule.into_inner();
        let begin = schedule.begin;
        let mut moments = Vec::new();
        while let Some(due) = schedule.due().await.unwrap() {
            assert!(due <= Instant::now());
            moments.push(due - begin);
            // Whoever takes two moments' time for the first makes the next ones late.
            if moments.len() == 1 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let expected: Vec<_> = (0..5).map(Duration::from_millis).collect();
        assert_eq!(moments, expected);
    }
}
