//! Chunks to messages.

use super::{EXTENDED, Error, INITIAL_CHUNK_SIZE, Limits, Message};
use crate::rtmp::message::type_id;
use bytes::{Buf, Bytes, BytesMut};

/// Whether a chunk of format 3 repeats the extended time of its message's first chunk.
///
/// Adobe RTMP 1.0, 5.3.1.3, says that it does; encoders made after older documents leave it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtendedTimestamps {
    /// By the specification: the four bytes are always there.
    Repeated,
    /// They are never there.
    Omitted,
    /// Four bytes that equal the time are the time, anything else is payload. Wrong once in 2^32 such chunks.
    #[default]
    Detected,
}

/// Puts messages together from a peer's chunks.
///
/// It applies Set Chunk Size and Abort itself, because they change how the next chunk is read; all other messages
/// come out of [`Reader::next`].
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    extended_timestamps: ExtendedTimestamps,
    chunk_size: usize,
    streams: Vec<Stream>,
    /// The chunk whose payload is being received.
    current: Option<Current>,
    /// Sum of the streams' `payload` lengths.
    partial_bytes: usize,
}

/// What the headers on one chunk stream have said so far.
#[derive(Debug, Default)]
struct Stream {
    csid: u32,
    /// The last time field: a time after format 0, a difference after formats 1 and 2.
    time_field: u32,
    /// The time field stood in the extended field.
    extended: bool,
    timestamp_ms: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    payload: Vec<u8>,
    /// A message has begun and is not complete.
    open: bool,
}

#[derive(Debug)]
struct Current {
    /// Index into `streams`.
    stream: usize,
    /// Payload bytes of this chunk still to come.
    remaining: usize,
}

/// What one chunk's headers say; `None` where the format leaves it out.
struct Header {
    /// Length of all headers together.
    bytes: usize,
    format: u8,
    csid: u32,
    /// The time field, and whether it stood in the extended field.
    time: Option<(u32, bool)>,
    /// Message length and type.
    shape: Option<(usize, u8)>,
    stream_id: Option<u32>,
}

/// A basic header: format, chunk stream id, and the bytes it takes.
fn basic_header(input: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *input.first()?;
    let format = first >> 6;
    Some(match first & 0x3f {
        0 => (format, 64 + u32::from(*input.get(1)?), 2),
        1 => (format, 64 + u32::from(*input.get(1)?) + (u32::from(*input.get(2)?) << 8), 3),
        csid => (format, u32::from(csid), 1),
    })
}

fn be24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

impl Reader {
    /// A reader at the beginning of a peer's chunks, right after the handshake.
    pub fn new(limits: Limits, extended_timestamps: ExtendedTimestamps) -> Self {
        Self {
            limits,
            extended_timestamps,
            chunk_size: INITIAL_CHUNK_SIZE,
            streams: Vec::new(),
            current: None,
            partial_bytes: 0,
        }
    }

    /// Changes the limits for what is received from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Memory held for messages that are not complete, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.payload.capacity()).sum()
    }

    /// Takes bytes off `input` until a message is complete; `None` when more bytes are needed.
    ///
    /// After an error the reader is of no further use.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        loop {
            if self.current.is_none() && !self.begin_chunk(input)? {
                return Ok(None);
            }
            let Some(message) = self.take_payload(input)? else {
                if self.current.is_some() {
                    return Ok(None);
                }
                continue;
            };
            match message.type_id {
                type_id::SET_CHUNK_SIZE => self.set_chunk_size(control_value(&message)?)?,
                type_id::ABORT => self.abort(control_value(&message)?),
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Reads one chunk's headers; false when they are not complete (nothing is taken then).
    fn begin_chunk(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        let Some(header) = self.read_header(input)? else { return Ok(false) };
        input.advance(header.bytes);
        self.current = Some(self.apply(&header)?);
        Ok(true)
    }

    fn read_header(&self, input: &[u8]) -> Result<Option<Header>, Error> {
        let Some((format, csid, basic)) = basic_header(input) else { return Ok(None) };
        let mut bytes = basic + [11, 7, 3, 0][usize::from(format)];
        let Some(fields) = input.get(basic..bytes) else { return Ok(None) };

        let before = self.streams.iter().find(|stream| stream.csid == csid);
        // Format 1 may open a stream: librtmp sends its first ping answer so. Formats 2 and 3 lack the length.
        if before.is_none() && format >= 2 {
            return Err(Error::NoPreviousHeader { csid, format });
        }
        if format != 3 && before.is_some_and(|stream| stream.open) {
            return Err(Error::HeaderInsideMessage { csid });
        }
        let mut time = (format != 3).then(|| be24(fields));
        let extended = match time {
            Some(time) => time == EXTENDED,
            None => match self.repeats_extended(before, &input[basic..]) {
                Some(repeats) => repeats,
                None => return Ok(None),
            },
        };
        if extended {
            let Some(field) = input.get(bytes..bytes + 4) else { return Ok(None) };
            time = time.map(|_| u32::from_be_bytes([field[0], field[1], field[2], field[3]]));
            bytes += 4;
        }
        Ok(Some(Header {
            bytes,
            format,
            csid,
            time: time.map(|time| (time, extended)),
            shape: (format <= 1).then(|| (be24(&fields[3..]) as usize, fields[6])),
            stream_id: (format == 0).then(|| u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]])),
        }))
    }

    fn apply(&mut self, header: &Header) -> Result<Current, Error> {
        let index = match self.streams.iter().position(|stream| stream.csid == header.csid) {
            Some(index) => index,
            None => self.open_stream(header.csid)?,
        };
        let stream = &mut self.streams[index];
        (stream.length, stream.type_id) = header.shape.unwrap_or((stream.length, stream.type_id));
        (stream.time_field, stream.extended) = header.time.unwrap_or((stream.time_field, stream.extended));
        stream.stream_id = header.stream_id.unwrap_or(stream.stream_id);
        if !stream.open {
            let (type_id, length) = (stream.type_id, stream.length);
            let limit = self.limits.of(type_id);
            if length > limit {
                return Err(Error::MessageTooLarge { type_id, length, limit });
            }
            stream.begin_message(header.format);
        }
        let remaining = (stream.length - stream.payload.len()).min(self.chunk_size);
        Ok(Current { stream: index, remaining })
    }

    /// Whether a format 3 chunk goes on with an extended time; `None` when more bytes are needed to tell.
    fn repeats_extended(&self, stream: Option<&Stream>, after_basic: &[u8]) -> Option<bool> {
        let Some(stream) = stream.filter(|stream| stream.extended) else { return Some(false) };
        match self.extended_timestamps {
            ExtendedTimestamps::Repeated => Some(true),
            ExtendedTimestamps::Omitted => Some(false),
            ExtendedTimestamps::Detected => {
                let seen = &after_basic[..after_basic.len().min(4)];
                // After a difference some repeat the difference, some the time that it led to.
                let candidates = [stream.time_field, stream.timestamp_ms].map(u32::to_be_bytes);
                let fits = candidates.iter().any(|candidate| candidate.starts_with(seen));
                if fits && seen.len() < 4 { None } else { Some(fits) }
            }
        }
    }

    fn open_stream(&mut self, csid: u32) -> Result<usize, Error> {
        let limit = self.limits.chunk_streams;
        if self.streams.len() >= limit {
            return Err(Error::TooManyChunkStreams { limit });
        }
        self.streams.push(Stream { csid, ..Stream::default() });
        Ok(self.streams.len() - 1)
    }

    /// Moves what is there of the current chunk's payload; a message when this completes one.
    fn take_payload(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let stream = &mut self.streams[current.stream];
        let take = current.remaining.min(input.len());
        if self.partial_bytes + take > self.limits.partial {
            return Err(Error::TooManyPartialBytes { limit: self.limits.partial });
        }
        stream.receive(&input[..take]);
        input.advance(take);
        self.partial_bytes += take;
        current.remaining -= take;
        if current.remaining > 0 {
            return Ok(None);
        }
        self.current = None;
        if stream.payload.len() < stream.length {
            return Ok(None);
        }
        self.partial_bytes -= stream.payload.len();
        stream.open = false;
        Ok(Some(Message {
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            timestamp_ms: stream.timestamp_ms,
            payload: Bytes::from(std::mem::take(&mut stream.payload)),
        }))
    }

    fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        let (size, limit) = (size as usize, self.limits.chunk_size);
        if size == 0 {
            return Err(Error::ChunkSizeZero);
        }
        if size > limit {
            return Err(Error::ChunkSizeTooLarge { size, limit });
        }
        self.chunk_size = size;
        Ok(())
    }

    fn abort(&mut self, csid: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
            self.partial_bytes -= stream.payload.len();
            stream.payload = Vec::new();
            stream.open = false;
        }
    }
}

impl Stream {
    /// Works out the time of the message that begins here.
    ///
    /// Format 3 repeats the last field as a difference, even if that field was a time (Adobe RTMP 1.0, 5.3.1.2.4).
    fn begin_message(&mut self, format: u8) {
        self.timestamp_ms = match format {
            0 => self.time_field,
            _ => self.timestamp_ms.wrapping_add(self.time_field),
        };
        self.open = true;
    }

    /// Appends payload. Memory follows what has come, not what the header announced, and ends at exactly its length.
    fn receive(&mut self, bytes: &[u8]) {
        let (have, need) = (self.payload.len(), self.payload.len() + bytes.len());
        if need > self.payload.capacity() {
            let target = need.max(have * 2).max(4096).min(self.length);
            self.payload.reserve_exact(target - have);
        }
        self.payload.extend_from_slice(bytes);
    }
}

/// The four bytes that Set Chunk Size and Abort consist of.
fn control_value(message: &Message) -> Result<u32, Error> {
    let truncated = Error::TruncatedControl { type_id: message.type_id, length: message.payload.len() };
    (&message.payload[..]).try_get_u32().map_err(|_| truncated)
}
