//! `oriel user`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use store::Store;

use super::Setup;
use crate::account::name::{check_name, check_password};
use crate::account::password::Passwords;

/// Accounts.
#[derive(clap::Subcommand)]
pub enum User {
    /// Make an account. The password is asked for, or read from standard input
    Add {
        /// 3 to 32 characters of a-z, 0-9, _ and -
        name: String,
        /// Read the password from the first line of standard input, without asking
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        setup: Setup,
    },
}

pub fn run(command: User) -> anyhow::Result<()> {
    let User::Add { name, password_stdin, setup } = command;
    let config = setup.load()?;
    check_name(&name)?;
    let password = read_password(password_stdin)?;
    check_password(&password)?;
    super::runtime()?.block_on(async {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("cannot make {}", config.data_dir.display()))?;
        let store = Store::open(&store::Config::file(config.data_dir.join("oriel.db"))).await?;
        let hash = Passwords::new(1).hash(password).await?;
        let user = store.create_user(&name, &hash).await?;
        store.close().await;
        println!("made account {} in {}", user.name, config.data_dir.display());
        Ok(())
    })
}

fn read_password(quietly: bool) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let ask = !quietly && stdin.is_terminal();
    let _hidden = match ask {
        true => {
            eprint!("Password (not shown): ");
            std::io::stderr().flush()?;
            Some(HiddenInput::start())
        }
        false => None,
    };
    let mut line = String::new();
    if stdin.lock().read_line(&mut line)? == 0 {
        bail!("no password on standard input");
    }
    if ask {
        eprintln!();
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Turns the terminal's echo off, and on again when it is dropped. Without `stty` the password is shown.
struct HiddenInput;

impl HiddenInput {
    fn start() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(setting: &str) {
    let status = std::process::Command::new("stty").arg(setting).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("(the terminal does not hide what you type)");
    }
}
