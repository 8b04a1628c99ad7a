//! One outside protocol per folder: each turns a connection into a producer or a consumer of a live broadcast.
//!
//! Gateways know no accounts and no SQL: they return requests, the server decides.

pub mod address;
pub mod archive;
pub mod flv;
pub mod hls;
pub mod ingest;
pub mod matroska;
pub mod moq;
pub mod mp4;
pub mod rtc;
pub mod rtmp;
pub mod srt;
pub mod tcp;
pub mod ts;
