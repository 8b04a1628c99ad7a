//! `oriel serve`.

use super::Setup;
use crate::{App, telemetry};

pub fn run(setup: Setup) -> anyhow::Result<()> {
    let config = setup.load()?;
    telemetry::start_logs(&config.log)?;
    super::runtime()?.block_on(async {
        let stop = super::StopRequests::listen()?;
        let app = App::start(config).await?;
        let addresses = app.addresses();
        let shown = |address: Option<std::net::SocketAddr>| address.map_or("off".into(), |address| address.to_string());
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            http = %addresses.http,
            quic = shown(addresses.udp),
            webrtc = shown(addresses.rtc),
            rtmp = shown(addresses.rtmp),
            rtmps = shown(addresses.rtmps),
            srt = shown(addresses.srt),
            metrics = shown(addresses.metrics),
            data_dir = %app.services().config.data_dir.display(),
            "serving"
        );
        stop.first().await;
        app.drain().await;
        Ok(())
    })
}
