//! What a viewer costs: the real server on one core, publisher and viewers on another, and beside them, in the same run, two
//! floors that only write the same bytes.
//!
//! A case is a way to watch and a number of viewers. Each has a fresh server, so that one case's memory is not another's:
//! publish, let one viewer watch until the server's memory stands still (it keeps some seconds of media), measure the server
//! so, let the others join at a steady rate, let them settle, measure. The difference, over the others and the seconds, is
//! what a viewer costs; what the first one sets in motion for all is not.
//!
//! [`server`] runs the server, [`watch`] is the loop that is all viewers, [`push`] and [`hls`] are what one viewer does,
//! [`http`] reads responses, [`report`] judges and prints.

mod hls;
mod http;
mod push;
pub mod report;
mod server;
mod viewer;
mod watch;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::clip::Clip;
use crate::floor::{self, Every};
use crate::process::{self, Cores, Running};
use crate::publish::{Looping, Target};
use report::{Case, Report, Row};
use server::Server;
use watch::{Door, Outcome};

/// Two keyframe intervals, so that the server has whole groups to give.
const WARM_UP: Duration = Duration::from_millis(4500);
/// How long the server with one viewer is measured.
const ALONE: Duration = Duration::from_secs(5);
/// Memory stands still when it has grown by less than this in [`ALONE`]...
const STILL_KIB: i64 = 128;
/// ...or is taken to after this.
const MEMORY_PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(60);

/// How a viewer watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Rtmp,
    Flv,
    Llhls,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `oriel` program.
    pub server: PathBuf,
    pub protocols: Vec<Protocol>,
    pub viewers: Vec<usize>,
    /// Length of each measurement.
    pub length: Duration,
    pub joins_per_second: u32,
    /// Milliseconds of `flv.flush_ms` for the second mode, if it is to be measured.
    pub flush_ms: Option<u32>,
    pub cores: Cores,
}

/// Measures every case of the plan, telling `progress` of each as it ends.
pub fn run(plan: &Plan, mut progress: impl FnMut(&Row)) -> anyhow::Result<Report> {
    plan.cores.check()?;
    process::raise_open_files().context("allow more open files")?;
    process::pin(plan.cores.load)?;
    let clip = Arc::new(Clip::encode()?);
    let mut report = Report { bitrate_bps: clip.bitrate_bps(), seconds: plan.length.as_secs_f64(), rows: Vec::new() };
    for &viewers in &plan.viewers {
        for case in cases(plan) {
            let outcome = match case {
                Case::Floor(every) => against_floor(plan, every, viewers),
                Case::Server { protocol, flush_ms } => against_server(plan, &clip, protocol, flush_ms, viewers),
            };
            let outcome = outcome.with_context(|| format!("{case}, {viewers} viewers"))?;
            let row = Row::new(case, viewers, clip.fps, outcome);
            progress(&row);
            report.rows.push(row);
        }
    }
    Ok(report)
}

fn cases(plan: &Plan) -> Vec<Case> {
    let mut cases = vec![Case::Floor(Every::Frame)];
    cases.extend(plan.protocols.iter().map(|&protocol| Case::Server { protocol, flush_ms: 0 }));
    if let Some(flush_ms) = plan.flush_ms {
        cases.push(Case::Floor(Every::Tenth));
        let pushed = plan.protocols.iter().filter(|&&protocol| protocol != Protocol::Llhls);
        cases.extend(pushed.map(|&protocol| Case::Server { protocol, flush_ms }));
        cases.push(Case::Floor(Every::Tenth));
    }
    // Floors are measured before and after, and the lower counts: a neighbour that disturbs one must not flatter the server.
    cases.push(Case::Floor(Every::Frame));
    cases
}

/// What was measured of one case.
pub struct Measured {
    /// With one viewer.
    pub alone: Usage,
    /// With all.
    pub busy: Usage,
    pub outcome: Outcome,
}

/// A stretch of a process's life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_ms: u64,
    pub length: Duration,
    /// Resident memory at its end.
    pub rss_kib: i64,
}

fn against_server(
    plan: &Plan,
    clip: &Arc<Clip>,
    protocol: Protocol,
    flush_ms: u32,
    viewers: usize,
) -> anyhow::Result<Measured> {
    let mut server = Server::start(&plan.server, plan.cores, flush_ms)?;
    let broadcast = server.create_broadcast()?;
    let target = Target { host: "127.0.0.1".into(), port: server.rtmp.port(), app: "live".into(), key: broadcast.key };
    let mut publisher = Looping::start(target, clip.clone());
    sleep(WARM_UP);
    publisher.check()?;
    let door = match protocol {
        Protocol::Rtmp => Door::Rtmp { server: server.rtmp, id: broadcast.id },
        Protocol::Flv => Door::Flv { server: server.http, path: format!("/live/{}.flv", broadcast.id) },
        Protocol::Llhls => Door::Llhls { server: server.http, path: format!("/hls/{}/index.m3u8", broadcast.id) },
    };
    let measured = measure(plan, &mut server.process, door, viewers);
    // A server that is gone explains everything else that failed.
    server.check()?;
    publisher.check()?;
    measured
}

fn against_floor(plan: &Plan, every: Every, viewers: usize) -> anyhow::Result<Measured> {
    let address = free_address()?;
    let flag = if every == Every::Frame { "--every-frame" } else { "--every-100ms" };
    let mut command = Command::new(std::env::current_exe().context("our own program")?);
    command.args(["floor", flag, "--listen", &address.to_string()]);
    let mut floor = process::spawn_on(plan.cores.server, plan.cores.load, &mut command)?;
    floor::wait_until_open(address, PATIENCE)?;
    sleep(Duration::from_secs(1));
    measure(plan, &mut floor, Door::Floor { server: address }, viewers)
}

fn measure(plan: &Plan, process: &mut Running, door: Door, viewers: usize) -> anyhow::Result<Measured> {
    let mut watch = watch::Watch::new(door, plan.joins_per_second)?;
    watch.join(1)?;
    let patience = Instant::now() + MEMORY_PATIENCE;
    let mut rss_kib = process.rss_kib()?;
    let alone = loop {
        let alone = usage(process, || watch.pass(ALONE))?;
        if alone.rss_kib - rss_kib < STILL_KIB || Instant::now() > patience {
            break alone;
        }
        rss_kib = alone.rss_kib;
    };
    watch.join(viewers)?;
    let busy = usage(process, || watch.measure(plan.length))?;
    process.check()?;
    Ok(Measured { alone, busy, outcome: watch.finish() })
}

fn usage(process: &Running, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Usage> {
    let (start, cpu_ms) = (Instant::now(), process.cpu_ms()?);
    work()?;
    Ok(Usage { cpu_ms: process.cpu_ms()? - cpu_ms, length: start.elapsed(), rss_kib: process.rss_kib()? })
}

/// A loopback address that nobody listens on at the moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    probe.local_addr().context("a free port")
}
