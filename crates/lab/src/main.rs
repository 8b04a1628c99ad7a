//! `oriel-lab`: measure Oriel from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use codec::synth::Config;
use lab::fanout::{self, Plan, Protocol, report};
use lab::floor::{self, Every};
use lab::process::Cores;
use lab::publish::{self, Target};
use lab::raw;

/// Measure Oriel from outside.
#[derive(Parser)]
#[command(name = "oriel-lab")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish the synthetic broadcast, encoded live, to an RTMP address.
    Publish(Publish),
    /// Write the synthetic picture as raw 4:2:0 frames to standard output, in real time.
    Raw(Raw),
    /// Measure what a viewer costs the server, beside floors that only write the same bytes.
    Fanout(Fanout),
    /// Be such a floor: write the clip to whoever connects.
    Floor(Floor),
}

#[derive(Args)]
struct Publish {
    /// rtmp://host[:port]/app/key
    #[arg(long)]
    url: Target,
    #[arg(long, default_value_t = 1280)]
    width: u32,
    #[arg(long, default_value_t = 720)]
    height: u32,
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Video bits per second.
    #[arg(long, default_value_t = Config::default().bitrate_bps)]
    bitrate: u32,
    /// Frames from keyframe to keyframe.
    #[arg(long, default_value_t = 60)]
    gop: u32,
    /// Stop after this many seconds.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Args)]
struct Raw {
    #[arg(long, default_value_t = 640)]
    width: usize,
    #[arg(long, default_value_t = 360)]
    height: usize,
    #[arg(long, default_value_t = 30)]
    fps: u32,
}

#[derive(Args)]
struct Fanout {
    /// The `oriel` program.
    #[arg(long)]
    server: PathBuf,
    #[arg(long, value_delimiter = ',', default_value = "rtmp,flv,llhls")]
    protocols: Vec<Protocol>,
    /// Numbers of viewers.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000")]
    viewers: Vec<usize>,
    /// Length of each measurement.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    #[arg(long, default_value_t = 100)]
    joins_per_second: u32,
    /// Leave out the second mode, in which the server flushes every 100 ms.
    #[arg(long)]
    no_flush: bool,
    /// Core of the server.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// Core of publisher and viewers.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Write the results here as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Rhythm {
    /// One send per video frame; sound rides along.
    #[arg(long)]
    every_frame: bool,
    /// One send per 100 ms.
    #[arg(long = "every-100ms")]
    every_100ms: bool,
}

#[derive(Args)]
struct Floor {
    #[command(flatten)]
    rhythm: Rhythm,
    #[arg(long, default_value = "127.0.0.1:9935")]
    listen: SocketAddr,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Publish(options) => publish(options),
        Command::Raw(Raw { width, height, fps }) => {
            raw::run(width, height, fps)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Fanout(options) => fanout(options),
        Command::Floor(Floor { rhythm, listen }) => {
            floor::run(listen, if rhythm.every_frame { Every::Frame } else { Every::Tenth })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn publish(options: Publish) -> anyhow::Result<ExitCode> {
    let Publish { url, width, height, fps, bitrate, gop, seconds } = options;
    let config = Config { width, height, fps, bitrate_bps: bitrate, gop, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    runtime.block_on(publish::synthetic(&url, config, seconds.map(Duration::from_secs)))?;
    Ok(ExitCode::SUCCESS)
}

fn fanout(options: Fanout) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        server: options.server.canonicalize().with_context(|| format!("{}", options.server.display()))?,
        protocols: options.protocols,
        viewers: options.viewers,
        length: Duration::from_secs(options.seconds),
        joins_per_second: options.joins_per_second,
        flush_ms: (!options.no_flush).then_some(100),
        cores: Cores { server: options.server_core, load: options.load_core },
    };
    eprintln!("{}", report::HEAD);
    let report = fanout::run(&plan, |row| eprintln!("{}", report::line(row)))?;
    println!("\n{report}");
    if let Some(path) = options.json {
        let json = serde_json::to_string_pretty(&report.json()).context("the report as JSON")?;
        std::fs::write(&path, json).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
