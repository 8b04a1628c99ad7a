//! AMF0 values of commands and metadata: a reader with bounds, a writer with a fixed order.
//!
//! Values and their encoding are scuffle-amf0's. Its decoder is not used, because the bytes come from strangers: it
//! recurses as deep as they nest (64 KiB of nested arrays overflow a worker's stack), allocates what an array's count
//! announces before reading it (nine bytes ask for gigabytes), and leaves the end marker of an ECMA array behind, so
//! that every encoder's `onMetaData` fails.

use bytes::Buf;
pub use scuffle_amf0::Amf0Value as Value;
use scuffle_amf0::{Amf0Encoder, Amf0Marker, Amf0Object};
use std::borrow::Cow;

/// Objects in objects; commands in use have two levels.
const MAX_DEPTH: usize = 8;
/// Values in one message, at every level together; OBS's metadata has about 25.
const MAX_VALUES: usize = 1024;

/// Why bytes are not AMF0 that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value goes on after the end of the message.
    #[error("amf0 value is cut off")]
    CutOff,
    /// A type that AMF0 does not have, or one that nobody sends (references, recordsets, AMF3).
    #[error("amf0 type {0:#04x} is not supported")]
    Marker(u8),
    /// Objects or arrays in one another.
    #[error("amf0 values are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Values in one message.
    #[error("more than {MAX_VALUES} amf0 values in one message")]
    TooMany,
}

/// Reads all values of a message. Text that is not UTF-8 is read with replacement characters.
pub fn read(bytes: &[u8]) -> Result<Vec<Value<'static>>, Error> {
    let mut reader = Reader { rest: bytes, values: 0 };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Error::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let marker = self.rest.try_get_u8().map_err(cut_off)?;
        Ok(match marker {
            m if m == Amf0Marker::Number as u8 => Value::Number(self.rest.try_get_f64().map_err(cut_off)?),
            m if m == Amf0Marker::Boolean as u8 => Value::Boolean(self.rest.try_get_u8().map_err(cut_off)? != 0),
            m if m == Amf0Marker::String as u8 => Value::String(self.short_text()?.into()),
            m if m == Amf0Marker::LongString as u8 || m == Amf0Marker::XmlDocument as u8 => {
                Value::String(self.long_text()?.into())
            }
            m if m == Amf0Marker::Null as u8 || m == Amf0Marker::Undefined as u8 => Value::Null,
            m if m == Amf0Marker::Object as u8 => self.object(depth)?,
            m if m == Amf0Marker::TypedObject as u8 => {
                self.short_text()?;
                self.object(depth)?
            }
            m if m == Amf0Marker::EcmaArray as u8 => {
                // The count is a hint and often wrong; the end marker decides.
                self.rest.try_get_u32().map_err(cut_off)?;
                self.object(depth)?
            }
            m if m == Amf0Marker::StrictArray as u8 => self.array(depth)?,
            m if m == Amf0Marker::Date as u8 => {
                let time_ms = self.rest.try_get_f64().map_err(cut_off)?;
                self.rest.try_get_i16().map_err(cut_off)?;
                Value::Number(time_ms)
            }
            other => return Err(Error::Marker(other)),
        })
    }

    /// Properties up to the end marker: an empty name and 9.
    fn object(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        let mut object = Amf0Object::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.rest.first() == Some(&(Amf0Marker::ObjectEnd as u8)) {
                self.rest.advance(1);
                return Ok(Value::Object(object));
            }
            object.insert(name.into(), self.value(depth + 1)?);
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        let count = self.rest.try_get_u32().map_err(cut_off)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(Cow::Owned(values)))
    }

    fn short_text(&mut self) -> Result<String, Error> {
        let length = self.rest.try_get_u16().map_err(cut_off)?;
        self.text(usize::from(length))
    }

    fn long_text(&mut self) -> Result<String, Error> {
        let length = self.rest.try_get_u32().map_err(cut_off)?;
        self.text(length as usize)
    }

    fn text(&mut self, length: usize) -> Result<String, Error> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Error::CutOff)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

fn cut_off(_: bytes::TryGetError) -> Error {
    Error::CutOff
}

/// Writes values one after the other, properties in the order given.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends one value.
    pub fn value(mut self, value: &Value<'_>) -> Self {
        value.encode(&mut Amf0Encoder::new(&mut self.0)).expect("a vector takes every byte, and texts are short");
        self
    }

    /// Appends a text.
    pub fn text(self, text: &str) -> Self {
        self.value(&Value::String(text.into()))
    }

    /// Appends a number.
    pub fn number(self, number: f64) -> Self {
        self.value(&Value::Number(number))
    }

    /// Appends null.
    pub fn null(self) -> Self {
        self.value(&Value::Null)
    }

    /// Appends an object. Names have at most 65535 bytes.
    pub fn object(mut self, properties: &[(&str, Value<'_>)]) -> Self {
        self.0.push(Amf0Marker::Object as u8);
        for (name, value) in properties {
            let length = u16::try_from(name.len()).expect("names are our own, and short");
            self.0.extend_from_slice(&length.to_be_bytes());
            self.0.extend_from_slice(name.as_bytes());
            self = self.value(value);
        }
        self.0.extend_from_slice(&[0, 0, Amf0Marker::ObjectEnd as u8]);
        self
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// The text in a value.
pub fn text<'a>(value: &'a Value<'_>) -> Option<&'a str> {
    match value {
        Value::String(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The number in a value.
pub fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// A property of an object.
pub fn property<'a>(value: &'a Value<'static>, name: &'static str) -> Option<&'a Value<'static>> {
    match value {
        Value::Object(object) => object.get(&name.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let list = Value::Array(Cow::Owned(vec![Value::String("hvc1".into()), Value::Null]));
        let bytes = Writer::default()
            .text("connect")
            .number(1.0)
            .null()
            .value(&Value::Boolean(true))
            .object(&[("app", Value::String("live".into())), ("fourCcList", list.clone())])
            .finish();
        let values = read(&bytes).expect("our own bytes");
        assert_eq!(text(&values[0]), Some("connect"));
        assert_eq!(number(&values[1]), Some(1.0));
        assert_eq!(values[2..4], [Value::Null, Value::Boolean(true)]);
        assert_eq!(property(&values[4], "app").and_then(text), Some("live"));
        assert_eq!(property(&values[4], "fourCcList"), Some(&list));
    }

    #[test]
    fn an_ecma_array_ends_at_its_marker_whatever_its_count_says() {
        for count in [0_u32, 1, 7, u32::MAX] {
            let bytes = [&[8][..], &count.to_be_bytes(), b"\0\x01a\x01\x01\0\0\x09", &[5]].concat();
            let values = read(&bytes).expect("the count is only a hint");
            assert_eq!(property(&values[0], "a"), Some(&Value::Boolean(true)));
            assert_eq!(values[1..], [Value::Null]);
        }
    }

    #[test]
    fn nesting_and_number_of_values_are_bounded() {
        let arrays = [10, 0, 0, 0, 1].repeat(10_000);
        assert_eq!(read(&arrays), Err(Error::TooDeep));
        let objects = [3, 0, 1, b'a'].repeat(10_000);
        assert_eq!(read(&objects), Err(Error::TooDeep));
        assert_eq!(read(&[5; 1025]), Err(Error::TooMany));
        assert_eq!(read(&[5; 1024]).map(|values| values.len()), Ok(1024));
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_message() {
        let whole = Writer::default().text("x").number(2.0).object(&[("k", Value::Null)]).finish();
        let cuts = (0..whole.len()).filter(|&cut| read(&whole[..cut]).is_ok());
        assert_eq!(cuts.collect::<Vec<_>>(), [0, 4, 13], "only between values");
        assert_eq!(read(&[10, 0xff, 0xff, 0xff, 0xff]), Err(Error::CutOff));
        assert_eq!(read(&[12, 0xff, 0xff, 0xff, 0xff, b'a']), Err(Error::CutOff));
        assert_eq!(read(&[0x11]), Err(Error::Marker(0x11)));
    }

    #[test]
    fn text_in_an_old_encoding_is_not_an_error() {
        let values = read(b"\x02\0\x02\xe9t").expect("read with replacement");
        assert_eq!(text(&values[0]), Some("\u{fffd}t"));
    }
}
