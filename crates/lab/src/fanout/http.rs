//! HTTP/1.1 responses on a keep-alive connection, without I/O: what a player needs of them.

/// What has been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Some of the body: a range of the bytes given.
    Body(std::ops::Range<usize>),
    /// The response is whole; its status.
    End(u16),
}

#[derive(Debug)]
enum State {
    Head,
    /// Bytes left of a body with a length.
    Sized(usize),
    /// A chunk's size line.
    ChunkSize,
    /// Bytes left of a chunk, the CRLF after it included.
    Chunk(usize),
    /// The lines after the last chunk.
    Trailer,
}

/// Reads one response after the other.
#[derive(Debug)]
pub(super) struct Responses {
    state: State,
    status: u16,
    /// A head or line that has not come whole yet.
    line: Vec<u8>,
}

/// Longest head that is read.
const MAX_HEAD_BYTES: usize = 16 << 10;

impl Responses {
    pub fn new() -> Self {
        Self { state: State::Head, status: 0, line: Vec::new() }
    }

    /// Takes bytes and names what is in them. An error says what is wrong with the response.
    pub fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(Event)) -> Result<(), &'static str> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Head => {
                    let Some(head) = self.until(bytes, &mut at, b"\r\n\r\n")? else { return Ok(()) };
                    (self.status, self.state) = read_head(&head)?;
                    if matches!(self.state, State::Sized(0)) {
                        self.end(&mut event);
                    }
                }
                State::Sized(left) => {
                    let take = left.min(bytes.len() - at);
                    event(Event::Body(at..at + take));
                    at += take;
                    self.state = State::Sized(left - take);
                    if left == take {
                        self.end(&mut event);
                    }
                }
                State::ChunkSize => {
                    let Some(line) = self.until(bytes, &mut at, b"\r\n")? else { return Ok(()) };
                    let size = line.split(|&b| b == b';').next().and_then(|size| std::str::from_utf8(size).ok());
                    let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
                    let size = size.filter(|&size| size < 1 << 30).ok_or("a chunk without a size")?;
                    self.state = if size == 0 { State::Trailer } else { State::Chunk(size + 2) };
                }
                State::Chunk(left) => {
                    let take = left.min(bytes.len() - at);
                    let body = take.min(left.saturating_sub(2));
                    event(Event::Body(at..at + body));
                    at += take;
                    self.state = if left == take { State::ChunkSize } else { State::Chunk(left - take) };
                }
                State::Trailer => {
                    let Some(line) = self.until(bytes, &mut at, b"\r\n")? else { return Ok(()) };
                    if line.is_empty() {
                        self.end(&mut event);
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, event: &mut impl FnMut(Event)) {
        self.state = State::Head;
        event(Event::End(self.status));
    }

    /// The bytes before `mark`, once it has come.
    fn until(&mut self, bytes: &[u8], at: &mut usize, mark: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        while *at < bytes.len() {
            self.line.push(bytes[*at]);
            *at += 1;
            if self.line.ends_with(mark) {
                let mut line = std::mem::take(&mut self.line);
                line.truncate(line.len() - mark.len());
                return Ok(Some(line));
            }
        }
        if self.line.len() > MAX_HEAD_BYTES { Err("an endless head") } else { Ok(None) }
    }
}

fn read_head(head: &[u8]) -> Result<(u16, State), &'static str> {
    let head = std::str::from_utf8(head).map_err(|_| "a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|line| line.get(..3));
    let status = status.and_then(|status| status.parse().ok()).ok_or("no HTTP/1.1 status line")?;
    let mut state = if status == 204 || status == 304 { Some(State::Sized(0)) } else { None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            state = Some(State::Sized(value.trim().parse().map_err(|_| "a length that is no number")?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
            state = Some(State::ChunkSize);
        }
    }
    Ok((status, state.ok_or("a body without an end")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_both_kinds_are_read_however_they_are_cut() {
        let stream =
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n";
        for step in 1..stream.len() {
            let mut responses = Responses::new();
            let (mut bodies, mut body) = (Vec::new(), Vec::new());
            for piece in stream.chunks(step) {
                let read = responses.feed(piece, |event| match event {
                    Event::Body(range) => body.extend_from_slice(&piece[range]),
                    Event::End(status) => {
                        bodies.push((status, String::from_utf8(std::mem::take(&mut body)).expect("text")))
                    }
                });
                read.expect("well formed");
            }
            let expected = [(200, "hello"), (404, ""), (200, "abc0123456789abcdef")];
            assert_eq!(bodies, expected.map(|(status, body)| (status, body.to_owned())), "step {step}");
        }
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bad in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(Responses::new().feed(bad.as_bytes(), |_| {}).is_err(), "{bad}");
        }
        assert!(Responses::new().feed(&[b'a'; 20_000], |_| {}).is_err());
    }
}
