//! Processes as Linux sees them: which core they run on, the CPU time they took, the memory they hold.

use std::fs;
use std::io;
use std::process::{Child, Command};

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Clock ticks a second in /proc: 100 on every Linux that Rust runs on (USER_HZ).
const TICKS_PER_S: u64 = 100;

/// The cores of a test: the thing under test has one for itself.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub load: usize,
}

impl Cores {
    pub fn check(self) -> anyhow::Result<()> {
        let cores = std::thread::available_parallelism().context("number of cores")?.get();
        if self.server == self.load || self.server >= cores || self.load >= cores {
            bail!("server on core {}, load on core {}: this machine has {cores}", self.server, self.load);
        }
        Ok(())
    }
}

/// Moves the calling thread, and all that it starts from now on, to a core.
pub fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pin to core {core}"))
}

/// Starts a process on a core; the caller goes back to its own.
pub fn spawn_on(core: usize, home: usize, command: &mut Command) -> anyhow::Result<Running> {
    pin(core)?;
    let child = command.spawn().with_context(|| format!("start {}", command.get_program().display()));
    pin(home)?;
    Ok(Running(child?))
}

/// Allows as many open files as the hard limit does, for this process and those it starts.
pub fn raise_open_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// A process of ours, killed when dropped.
pub struct Running(Child);

impl Running {
    /// User and system time so far, all threads, in milliseconds (a tick of /proc is 10).
    pub fn cpu_ms(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).context("the process is gone")?;
        // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15 of proc(5).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(ticks * 1000 / TICKS_PER_S)
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> anyhow::Result<i64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).context("the process is gone")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS: a zombie")?;
        line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")
    }

    /// An error if the process has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.0.try_wait().context("wait")? {
            Some(status) => bail!("the process ended: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to be done if it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
