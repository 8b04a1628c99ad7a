//! `oriel config`.

use super::Setup;
use crate::config::reference;

/// What to do with the configuration.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Read file, environment and flags, and say whether the server would start on them
    Check(Setup),
    /// Print the values in force, as a file
    Dump(Setup),
    /// Print what every key means (docs/ref/config.md)
    Reference,
}

pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check(setup) => {
            let config = setup.load()?;
            if config.tls.cert.is_some() {
                crate::tls::Certificate::load(crate::tls::files(&config)?)?;
            }
            println!("the configuration is good");
        }
        Command::Dump(setup) => print!("{}", toml::to_string(&setup.load()?)?),
        Command::Reference => print!("{}", reference::document()),
    }
    Ok(())
}
