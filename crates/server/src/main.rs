use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    server::cli::run(server::cli::Oriel::parse())
}
