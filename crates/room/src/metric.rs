//! What rooms count.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(crate) const ROOMS: &str = "oriel_room_open";
pub(crate) const CONNECTIONS: &str = "oriel_room_connections";
pub(crate) const JOINS: &str = "oriel_room_joins_total";
pub(crate) const COMMENTS: &str = "oriel_room_comments_total";
pub(crate) const REFUSED: &str = "oriel_room_refused_total";
pub(crate) const HEARTS: &str = "oriel_room_hearts_total";
pub(crate) const FRAMES: &str = "oriel_room_frames_total";
pub(crate) const FRAME_BYTES: &str = "oriel_room_frame_bytes_total";
pub(crate) const ENCODED: &str = "oriel_room_encoded_frames_total";
pub(crate) const SAMPLED_OUT: &str = "oriel_room_sampled_out_total";
pub(crate) const GAUGES_DROPPED: &str = "oriel_room_gauges_dropped_total";
pub(crate) const SLOW: &str = "oriel_room_slow_closed_total";
pub(crate) const STORE_ERRORS: &str = "oriel_room_store_errors_total";
pub(crate) const LATENCY: &str = "oriel_room_viewer_latency_seconds";

/// Describe them to the installed recorder; once, at the start of the program.
pub fn describe() {
    describe_gauge!(ROOMS, "rooms open on this node");
    describe_gauge!(CONNECTIONS, "room connections on this node");
    describe_counter!(JOINS, "room connections accepted; recovered says whether they went on where they were");
    describe_counter!(COMMENTS, "comments stored and published");
    describe_counter!(REFUSED, "frames answered with an error, by code");
    describe_counter!(HEARTS, "hearts counted, after the rate limit");
    describe_counter!(FRAMES, "frames queued for connections");
    describe_counter!(FRAME_BYTES, Unit::Bytes, "bytes of frames queued for connections");
    describe_counter!(ENCODED, "shared frames encoded: one serves a whole room");
    describe_counter!(SAMPLED_OUT, "comments left out of the shared frame because the room is too loud to read");
    describe_counter!(GAUGES_DROPPED, "gauges not queued because a viewer is slow");
    describe_counter!(SLOW, "connections closed because their viewer is too slow");
    describe_counter!(STORE_ERRORS, "store calls of rooms that failed, by call");
    describe_histogram!(LATENCY, Unit::Seconds, "glass-to-glass latency that players report, by rung");
}
