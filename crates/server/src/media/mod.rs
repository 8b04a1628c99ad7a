//! The doors of the media: each takes a connection, asks who may, and hands it to a gateway.

pub mod flv;
pub mod hls;
pub mod moq;
pub mod replay;
pub mod rtmp;
pub mod thumbnail;
pub mod viewers;
