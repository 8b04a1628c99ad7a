//! The numbers of FLV tags, in the legacy form (Adobe FLV 10.1, annex E) and the enhanced one (Enhanced RTMP v2).

/// What a tag carries. The values are both FLV tag types and RTMP message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    Audio = 8,
    Video = 9,
    Script = 18,
}

/// Frame type nibble of a video tag.
pub(super) const KEYFRAME: u8 = 1;
pub(super) const INTER_FRAME: u8 = 2;

/// Codec nibble of a legacy video tag.
pub(super) const LEGACY_AVC: u8 = 7;
/// First byte of a legacy AAC tag: AAC, 44 kHz, 16 bit, stereo, whatever the real values, which stand in the AudioSpecificConfig.
pub(super) const LEGACY_AAC: u8 = 0xaf;
/// Sound format nibbles of an audio tag.
pub(super) const SOUND_AAC: u8 = 10;
pub(super) const SOUND_ENHANCED: u8 = 9;

/// Second byte of a legacy AVC or AAC tag.
pub(super) const SEQUENCE_HEADER: u8 = 0;
pub(super) const RAW: u8 = 1;

/// The bit of a video tag's first byte that says a FourCC follows.
pub(super) const ENHANCED: u8 = 0x80;

/// Packet types of enhanced tags.
pub(super) mod packet {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    /// Video: coded frames whose composition time is 0 and left out.
    pub const CODED_FRAMES_X: u8 = 3;
    pub const AUDIO_MULTITRACK: u8 = 5;
    pub const VIDEO_MULTITRACK: u8 = 6;
    pub const MOD_EX: u8 = 7;
}

pub(super) const AVC: [u8; 4] = *b"avc1";
pub(super) const HEVC: [u8; 4] = *b"hvc1";
pub(super) const AV1: [u8; 4] = *b"av01";
pub(super) const AAC: [u8; 4] = *b"mp4a";
pub(super) const OPUS: [u8; 4] = *b"Opus";
