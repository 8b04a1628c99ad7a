//! `oriel doctor`: what would keep the server from running well, in words.

mod checks;

use std::process::ExitCode;

use super::Setup;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Good(String),
    /// It runs, but not as it should.
    Poor(String),
    /// It will not run.
    Bad(String),
}

/// A check and its finding.
pub struct Check {
    pub name: &'static str,
    pub finding: Finding,
}

pub fn run(setup: Setup) -> ExitCode {
    let config = match setup.load() {
        Ok(config) => config,
        Err(error) => {
            println!("bad   configuration: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let checks = checks::all(&config);
    for Check { name, finding } in &checks {
        match finding {
            Finding::Good(what) => println!("good  {name}: {what}"),
            Finding::Poor(what) => println!("poor  {name}: {what}"),
            Finding::Bad(what) => println!("bad   {name}: {what}"),
        }
    }
    let bad = checks.iter().filter(|check| matches!(check.finding, Finding::Bad(_))).count();
    match bad {
        0 => ExitCode::SUCCESS,
        1 => {
            println!("One thing keeps the server from running.");
            ExitCode::FAILURE
        }
        _ => {
            println!("{bad} things keep the server from running.");
            ExitCode::FAILURE
        }
    }
}
