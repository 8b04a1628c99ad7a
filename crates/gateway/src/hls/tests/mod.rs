//! The rules of HLS that servers break, each a test over a sequence of playlists; and the purity that edges and caches rely on.

pub(in crate::hls) mod media;
mod play;
mod property;
mod purity;
mod requests;
mod rules;
