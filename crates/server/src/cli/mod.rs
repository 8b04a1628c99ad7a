//! The command line.

mod config;
mod demo;
mod doctor;
mod serve;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, Overrides, load};

/// Oriel: go live, watch, take part.
#[derive(Parser)]
#[command(name = "oriel", version)]
pub struct Oriel {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Setup),
    /// Run the server with a synthetic broadcast that is live at once
    Demo(demo::Demo),
    /// Accounts
    #[command(subcommand)]
    User(user::User),
    /// Configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Look for what would keep the server from running well
    Doctor(Setup),
    /// Print the OpenAPI document of this version
    Openapi,
}

/// Where the configuration comes from.
#[derive(clap::Args)]
pub struct Setup {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Setup {
    fn load(self) -> anyhow::Result<Config> {
        // A name or value that is not UTF-8 cannot be one of ours, and says nothing about them.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(load(self.config.as_deref(), environment, self.overrides)?)
    }
}

/// Runs a command to its end.
pub fn run(oriel: Oriel) -> ExitCode {
    let done = match oriel.command {
        Command::Serve(setup) => serve::run(setup),
        Command::Demo(demo) => demo::run(demo),
        Command::User(command) => user::run(command),
        Command::Config(command) => config::run(command),
        Command::Doctor(setup) => return doctor::run(setup),
        Command::Openapi => {
            print!("{}", crate::api::openapi());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oriel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The runtime of a server.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The signals that ask the process to stop. Listened to before anything starts: a stop that comes early is a stop too.
struct StopRequests {
    terminate: Signal,
    interrupt: Signal,
}

impl StopRequests {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns at the first request; a second one ends the process without a drain.
    async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("asked to stop again: leaving at once");
            std::process::exit(130);
        });
    }
}
