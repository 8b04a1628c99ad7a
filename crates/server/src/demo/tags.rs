//! Bodies of FLV tags as a legacy encoder writes them (Adobe FLV 10.1, annex E.4.2 and E.4.3).
//!
//! ```text
//! video: frame type (4 bits) | 7 = AVC (4) | packet type: 0 record, 1 frame (8) | composition time (24) | data
//! audio: AF = AAC, 44 kHz flag, 16 bit, stereo | packet type: 0 record, 1 frame (8) | data
//! ```

const KEYFRAME_AVC: u8 = 0x17;
const INTER_AVC: u8 = 0x27;
const AAC: u8 = 0xaf;

/// AVCDecoderConfigurationRecord.
pub fn video_record(avcc: &[u8]) -> Vec<u8> {
    [&[KEYFRAME_AVC, 0, 0, 0, 0], avcc].concat()
}

/// An access unit; without B-frames its composition time is 0.
pub fn video_frame(keyframe: bool, access_unit: &[u8]) -> Vec<u8> {
    let kind = if keyframe { KEYFRAME_AVC } else { INTER_AVC };
    [&[kind, 1, 0, 0, 0], access_unit].concat()
}

/// AudioSpecificConfig.
pub fn audio_record(config: &[u8]) -> Vec<u8> {
    [&[AAC, 0], config].concat()
}

pub fn audio_frame(access_unit: &[u8]) -> Vec<u8> {
    [&[AAC, 1], access_unit].concat()
}
