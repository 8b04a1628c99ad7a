//! The stream id of a caller: what it wants, and the key that lets it.
//!
//! ```text
//! KEY                                  the stream key alone
//! #!::m=publish,r=KEY                  access control syntax, the key as resource
//! #!::m=publish,r=BROADCAST,s=KEY      the broadcast as resource, the key as session
//! ```

/// What a stream id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// The broadcast, when it is named.
    pub broadcast: Option<String>,
    /// The stream key. A secret: not for logs.
    pub key: String,
}

/// Why a stream id is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no stream key in the stream id")]
    NoKey,
    #[error("the stream id asks for another mode than publish")]
    Mode,
}

/// Reads a stream id.
pub fn parse(text: &str) -> Result<StreamId, Error> {
    let Some(pairs) = text.strip_prefix("#!::") else {
        let key = text.trim();
        return match key.is_empty() {
            true => Err(Error::NoKey),
            false => Ok(StreamId { broadcast: None, key: key.to_owned() }),
        };
    };
    let value = |name| {
        let mut pairs = pairs.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
    };
    // `request` is the default of the syntax, but who calls with a key of an encoder wants to send.
    if value("m").is_some_and(|mode| mode != "publish") {
        return Err(Error::Mode);
    }
    match (value("r"), value("s")) {
        (broadcast, Some(key)) => Ok(StreamId { broadcast, key }),
        (Some(key), None) => Ok(StreamId { broadcast: None, key }),
        (None, None) => Err(Error::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(broadcast: Option<&str>, key: &str) -> StreamId {
        StreamId { broadcast: broadcast.map(str::to_owned), key: key.to_owned() }
    }

    #[test]
    fn a_key_comes_alone_or_in_the_syntax() {
        assert_eq!(parse("ok_secret"), Ok(id(None, "ok_secret")));
        assert_eq!(parse("#!::m=publish,r=ok_secret"), Ok(id(None, "ok_secret")));
        assert_eq!(parse("#!::r=abc,m=publish,s=ok_secret,u=ann"), Ok(id(Some("abc"), "ok_secret")));
    }

    #[test]
    fn what_is_no_publisher_is_told() {
        assert_eq!(parse(""), Err(Error::NoKey));
        assert_eq!(parse("#!::m=publish"), Err(Error::NoKey));
        assert_eq!(parse("#!::m=publish,r=,s="), Err(Error::NoKey));
        assert_eq!(parse("#!::m=request,r=abc"), Err(Error::Mode));
    }
}
