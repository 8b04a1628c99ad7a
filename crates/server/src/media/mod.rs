//! The doors of the media: each takes a connection, asks who may, and hands it to a gateway.

pub mod flv;
pub mod hls;
pub mod ingest;
pub mod moq;
pub mod replay;
pub mod rtmp;
pub mod srt;
pub mod thumbnail;
pub mod viewers;
pub mod whep;
pub mod whip;
