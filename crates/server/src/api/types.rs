//! The API's nouns as JSON. Times are milliseconds since 1970-01-01 UTC.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::broadcast::machine::State;

/// An account, as everyone sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct User {
    pub id: String,
    pub name: String,
}

/// Who is signed in, if anybody.
#[derive(Serialize, ToSchema)]
pub struct Session {
    #[schema(required = true)]
    pub user: Option<User>,
}

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// 3 to 32 characters of a-z, 0-9, `_` and `-`.
    #[schema(min_length = 3, max_length = 32, pattern = "^[a-z0-9_-]+$", example = "ann")]
    pub name: String,
    /// 8 to 256 characters.
    #[schema(min_length = 8, max_length = 256, format = Password)]
    pub password: String,
}

/// A place on the Earth, WGS 84, degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    #[schema(minimum = -180, maximum = 180)]
    pub lng: f64,
}

/// Who finds a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// In the lists.
    #[default]
    Public,
    /// Only by its address.
    Unlisted,
}

/// A broadcast to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBroadcast {
    /// 1 to 120 characters.
    #[schema(min_length = 1, max_length = 120, example = "From the roof")]
    pub title: String,
    #[serde(default)]
    pub location: Option<Location>,
    #[serde(default)]
    pub visibility: Visibility,
    /// Left out: recorded, and as visible as the broadcast. Nothing is recorded where the server's configuration says so.
    #[serde(default)]
    pub replay: Option<ReplayWish>,
}

/// A broadcast just made, with the secret to publish it. The secret is in no later answer.
#[derive(Serialize, ToSchema)]
pub struct CreatedBroadcast {
    pub broadcast: Broadcast,
    /// The publish secret. Shown this once.
    pub stream_key: String,
    pub ingest: Ingest,
    /// The page to watch it on.
    pub watch_url: String,
}

/// Where to publish, ready to paste.
#[derive(Serialize, ToSchema)]
pub struct Ingest {
    /// As the two fields of OBS. Where the server has one of RTMP and RTMPS off, both are the other.
    pub rtmp: ServerAndKey,
    pub rtmps: ServerAndKey,
    pub one_line: OneLine,
    /// For encoders that publish by WHIP. Null when WebRTC is off.
    pub whip: Option<Whip>,
}

/// OBS's "Server" and "Stream Key".
#[derive(Serialize, ToSchema)]
pub struct ServerAndKey {
    pub server: String,
    pub key: String,
}

/// WHIP's address and the token it is asked with.
#[derive(Serialize, ToSchema)]
pub struct Whip {
    pub url: String,
    pub bearer_token: String,
}

/// The same as one address, for ffmpeg and encoders with one field.
#[derive(Serialize, ToSchema)]
pub struct OneLine {
    pub rtmp: String,
    pub rtmps: String,
}

/// A broadcast, as everyone sees it.
#[derive(Serialize, ToSchema)]
pub struct Broadcast {
    #[schema(example = "k3m9x2ahq7wtz", min_length = 13, max_length = 13)]
    pub id: String,
    pub title: String,
    pub owner: User,
    pub state: State,
    /// RUNNING, and the publisher is away for the moment.
    pub interrupted: bool,
    pub visibility: Visibility,
    #[schema(required = true)]
    pub location: Option<Location>,
    pub created_at_ms: i64,
    #[schema(required = true)]
    pub started_at_ms: Option<i64>,
    #[schema(required = true)]
    pub ended_at_ms: Option<i64>,
    /// Viewers now: pages that report playback, and players that pull without a page.
    pub viewers: u64,
    pub hearts: u64,
    /// How the media is coded; null when none flowed yet on this server.
    #[schema(required = true)]
    pub media: Option<Media>,
    pub urls: Urls,
}

#[derive(Serialize, ToSchema)]
pub struct Media {
    #[schema(required = true)]
    pub video: Option<Video>,
    #[schema(required = true)]
    pub audio: Option<Audio>,
}

#[derive(Serialize, ToSchema)]
pub struct Video {
    /// RFC 6381, such as `avc1.64001f`.
    pub codec: String,
    pub width: u32,
    pub height: u32,
    /// Declared frames per second, when the encoder declares it.
    #[schema(required = true)]
    pub fps: Option<f64>,
    /// Frames that may be decoded ahead of one shown before them; above 0 there are B-frames.
    pub reorder: u8,
}

#[derive(Serialize, ToSchema)]
pub struct Audio {
    /// RFC 6381, such as `mp4a.40.2`.
    pub codec: String,
    /// Samples per second.
    pub rate: u32,
    pub channels: u32,
}

/// Every way to a broadcast.
#[derive(Serialize, ToSchema)]
pub struct Urls {
    pub flv: String,
    pub flv_ws: String,
    /// Low-latency multivariant playlist.
    pub hls: String,
    /// Multivariant playlist without the low-latency extensions.
    pub hls_plain: String,
    /// Connect here by WebTransport or WebSocket; the name of the broadcast there is its id. 404 when MoQ is off.
    pub moq: String,
    /// Offer here by WHEP. Null when WebRTC is off.
    pub whep: Option<String>,
    /// RTMPS when the server has RTMP off.
    pub rtmp: String,
    pub thumbnail: String,
    /// The last hours as a list that grows, to go back in while it is live. Null when it is not being recorded.
    #[schema(required = true)]
    pub dvr: Option<String>,
    /// The player alone, for other sites to frame.
    pub embed: String,
    /// The room's WebSocket.
    pub room: String,
}

#[derive(Serialize, ToSchema)]
pub struct BroadcastList {
    pub broadcasts: Vec<Broadcast>,
}

/// The upload as the server sees it, for its owner.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// A publisher is connected.
    pub connected: bool,
    /// Its address.
    #[schema(required = true)]
    pub peer: Option<String>,
    /// How long this connection has lasted.
    pub uptime_ms: u64,
    pub bitrate_bps: Bitrate,
    /// Video frames per second over the last seconds.
    pub fps: f64,
    /// Media time between the last two keyframes.
    #[schema(required = true)]
    pub keyframe_interval_ms: Option<u64>,
    pub b_frames: bool,
    /// Who stamps the capture time.
    pub capture: Capture,
    pub warnings: Vec<Warning>,
}

#[derive(Serialize, ToSchema)]
pub struct Bitrate {
    pub video: u64,
    pub audio: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// The encoder stamps frames with the time of capture.
    Device,
    /// The server assumes the time of arrival.
    Ingest,
}

/// Something about the upload that viewers will notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    #[schema(example = "keyframe_interval")]
    pub code: &'static str,
    /// What it is, what it does, and what to change.
    pub text: String,
}

/// The server's clock.
#[derive(Serialize, ToSchema)]
pub struct Time {
    pub now_ms: i64,
}

/// Who may watch a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayVisibility {
    /// Everyone; in the lists.
    Public,
    /// Who has the address.
    Unlisted,
    /// Its owner.
    Private,
}

/// Whether a broadcast is recorded, and who may watch that afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayWish {
    Public,
    Unlisted,
    Private,
    /// Not recorded.
    Off,
}

/// A recording, which begins with the broadcast and has its id.
#[derive(Serialize, ToSchema)]
pub struct Replay {
    pub id: String,
    /// The broadcast's.
    pub title: String,
    pub owner: User,
    pub visibility: ReplayVisibility,
    /// The broadcast goes on, or its end is being written.
    pub recording: bool,
    /// Of what can be watched. Breaks of the broadcast are left out.
    pub duration_ms: i64,
    pub bytes: i64,
    /// Media that could not be written: a disk too slow or full.
    pub lost_ms: i64,
    /// Capture time of the first frame.
    pub captured_at_ms: i64,
    pub urls: ReplayUrls,
}

/// Every way to a replay.
#[derive(Serialize, ToSchema)]
pub struct ReplayUrls {
    /// Multivariant playlist.
    pub hls: String,
    /// All of it as one file.
    pub mp4: String,
    /// A still, once the recording is whole; H.264 only.
    pub picture: String,
    /// The last hours of a broadcast that goes on, as a list that grows. 404 when the server keeps none.
    #[schema(required = true)]
    pub dvr: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ReplayList {
    pub replays: Vec<Replay>,
}

/// What can be changed of a replay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayChange {
    pub visibility: ReplayVisibility,
}

/// What somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Broadcaster,
    User,
    Guest,
}

impl From<room::Role> for Role {
    fn from(role: room::Role) -> Self {
        match role {
            room::Role::Broadcaster => Self::Broadcaster,
            room::Role::User => Self::User,
            room::Role::Guest => Self::Guest,
        }
    }
}

/// What was said while the broadcast was live.
#[derive(Serialize, ToSchema)]
pub struct ReplayComment {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub text: String,
    /// Capture time of the picture its sender was seeing; where that is not known, when the server took it.
    pub time_ms: i64,
    /// When the server took it.
    pub at_ms: i64,
}

#[derive(Serialize, ToSchema)]
pub struct ReplayComments {
    pub comments: Vec<ReplayComment>,
    /// For `after`, when there is more.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// The hearts of one second of capture time.
#[derive(Serialize, ToSchema)]
pub struct HeartSecond {
    pub at_s: i64,
    /// How many of each colour.
    pub colours: Vec<u32>,
}

#[derive(Serialize, ToSchema)]
pub struct ReplayHearts {
    pub hearts: Vec<HeartSecond>,
    /// For `from_s`, when there is more.
    #[schema(required = true)]
    pub next_s: Option<i64>,
}

/// How to show a broadcast on another page (oembed.com, type `video`).
#[derive(Serialize, ToSchema)]
pub struct OEmbed {
    #[schema(example = "1.0")]
    pub version: &'static str,
    #[serde(rename = "type")]
    #[schema(example = "video")]
    pub kind: &'static str,
    pub title: String,
    pub author_name: String,
    pub provider_name: &'static str,
    pub provider_url: String,
    /// An `iframe` with the player.
    pub html: String,
    pub width: u32,
    pub height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_height: Option<u32>,
}
