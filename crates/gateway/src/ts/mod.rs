//! MPEG transport streams (ISO/IEC 13818-1).
//!
//! From the bytes up: [`packet`] (188 bytes each), [`psi`] (the tables that say what is in the stream), [`pes`] (packets put
//! together into coded frames with their times), [`adts`] and [`opus`] (several audio frames in one), and [`Demuxer`], which
//! is all of it. The other way, [`mux`] writes segments for old HLS players. None of these does I/O.

mod adts;
mod clock;
mod demux;
mod mux;
mod opus;
mod packet;
mod pes;
mod psi;
mod track;

pub use demux::Demuxer;
pub(crate) use mux::segment;
pub use packet::{PACKET, find_sync};
