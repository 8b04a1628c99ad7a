//! A byte stream that does not wait for ever: the first byte must come within a bound, and a write that
//! the peer does not take is an error after another. So a viewer that reads nothing is closed, whatever it watches.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// `S` with a deadline for its first byte and for each stalled write.
pub struct Deadlined<S> {
    inner: S,
    first_byte: Option<Pin<Box<Sleep>>>,
    write_bound: Duration,
    /// Set while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadlined<S> {
    pub fn new(inner: S, first_byte: Duration, write_bound: Duration) -> Self {
        Self { inner, first_byte: Some(Box::pin(tokio::time::sleep(first_byte))), write_bound, stalled: None }
    }

    /// Passes `progress` on, or fails when it has been pending for the bound.
    fn watch<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let bound = self.write_bound;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + bound)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the peer read nothing for {} s", bound.as_secs()),
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlined<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if progress.is_ready() {
            self.first_byte = None;
            return progress;
        }
        if let Some(timer) = &mut self.first_byte {
            ready!(timer.as_mut().poll(cx));
            let quiet = "the peer sent nothing after it connected";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, quiet)));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlined<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_an_error_after_the_bound() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut stream = Deadlined::new(ours, BOUND, BOUND);
        let start = Instant::now();
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), BOUND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_reads_is_kept() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = Deadlined::new(ours, BOUND, BOUND);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 16];
            for _ in 0..4 {
                tokio::time::sleep(BOUND - Duration::from_secs(1)).await;
                theirs.read_exact(&mut buffer).await.unwrap();
            }
        });
        stream.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_an_error_but_a_quiet_one_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = Deadlined::new(ours, BOUND, BOUND);
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (ours, mut late) = tokio::io::duplex(16);
        let mut stream = Deadlined::new(ours, BOUND, BOUND);
        late.write_u8(1).await.unwrap();
        stream.read_u8().await.unwrap();
        let quiet = tokio::spawn(async move { stream.read_u8().await });
        tokio::time::sleep(BOUND * 10).await;
        late.write_u8(2).await.unwrap();
        assert_eq!(quiet.await.unwrap().unwrap(), 2);
        theirs.shutdown().await.unwrap();
    }
}
