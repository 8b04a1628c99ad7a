//! Prometheus metrics: the recorder, what each number means, and the page.

use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use http::header;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Installs the recorder of this process, once; later calls give the same handle.
pub fn recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(
                    Matcher::Suffix("_seconds".into()),
                    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
                )
                .expect("the buckets are not empty");
            let handle = builder.install_recorder().expect("no other recorder is installed in this process");
            describe();
            handle
        })
        .clone()
}

/// The server's own numbers. The media crates describe theirs.
fn describe() {
    describe_gauge!("oriel_http_connections", Unit::Count, "HTTP connections open now");
    describe_counter!(
        "oriel_http_refused_total",
        Unit::Count,
        "HTTP connections closed at once because the server or the address had too many"
    );
    describe_histogram!(
        "oriel_http_request_seconds",
        Unit::Seconds,
        "Time to the response's headers, by method, route and status"
    );
    describe_gauge!("oriel_rtmp_connections", Unit::Count, "RTMP and RTMPS connections open now");
    describe_gauge!("oriel_publishers", Unit::Count, "Publisher connections sending now");
    describe_counter!(
        "oriel_publish_refused_total",
        Unit::Count,
        "Publishers refused, by reason: key, busy, ended, unavailable, draining"
    );
    describe_gauge!("oriel_broadcasts_running", Unit::Count, "Broadcasts in state RUNNING, interrupted ones too");
    describe_counter!("oriel_broadcasts_total", Unit::Count, "Broadcasts that reached a final state, by state");
    describe_gauge!(
        "oriel_pull_viewers",
        Unit::Count,
        "Viewers on a long-lived media connection now, by protocol: flv, flv_ws, rtmp"
    );
    describe_gauge!("oriel_recordings", Unit::Count, "Broadcasts being recorded now");
    describe_counter!(
        "oriel_recording_lost_ms_total",
        Unit::Milliseconds,
        "Media left out of recordings because a disk or store was too slow or full"
    );
    describe_counter!("oriel_slow_viewers_total", Unit::Count, "Viewers closed because they fell too far behind");
    describe_gauge!("oriel_room_connections", Unit::Count, "Room WebSockets open now");
    describe_histogram!(
        "oriel_password_hash_seconds",
        Unit::Seconds,
        "Time to hash or check one password, queueing too"
    );
    describe_histogram!("oriel_thumbnail_seconds", Unit::Seconds, "Time to make one thumbnail, queueing too");
}

/// The metrics listener's router.
pub fn router(handle: PrometheusHandle) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let handle = handle.clone();
            async move {
                handle.run_upkeep();
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render())
            }
        }),
    )
}
