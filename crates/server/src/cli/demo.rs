//! `oriel demo`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;

use super::Setup;
use crate::{App, Config, demo, telemetry};

/// Run the server with a synthetic broadcast.
#[derive(clap::Args)]
pub struct Demo {
    #[command(flatten)]
    setup: Setup,
}

/// A directory that goes with the process, unless the operator named one.
struct Scratch(Option<PathBuf>);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _left_behind = std::fs::remove_dir_all(path);
        }
    }
}

pub fn run(Demo { setup }: Demo) -> anyhow::Result<()> {
    let named = setup.overrides.data_dir.is_some();
    let mut config = setup.load()?;
    let scratch = match !named && config.data_dir == Config::default().data_dir {
        true => {
            config.data_dir = std::env::temp_dir().join(format!("oriel-demo-{}", std::process::id()));
            Scratch(Some(config.data_dir.clone()))
        }
        false => Scratch(None),
    };
    telemetry::start_logs(&config.log)?;
    super::runtime()?.block_on(async {
        let stop = super::StopRequests::listen()?;
        let app = App::start(config).await?;
        let demo = demo::Demo::start(app.services().clone()).await.context("the synthetic broadcast does not start")?;
        let site =
            format!("http{}://{}", if app.services().config.http.tls { "s" } else { "" }, local(app.addresses().http));
        println!();
        println!("  Oriel is live. Open  {site}/watch/{}", demo.broadcast());
        println!("  All broadcasts:      {site}/");
        println!("  To go live yourself: {site}/go  (sign in as {} with {})", demo::NAME, demo.password());
        println!("  Stop with Ctrl-C.");
        println!();
        stop.first().await;
        demo.stop();
        app.drain().await;
        drop(scratch);
        Ok(())
    })
}

/// An address that a browser on this machine can open.
fn local(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        false => address,
    }
}
