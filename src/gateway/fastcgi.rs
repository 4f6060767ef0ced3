//! Skeleton.
use super::{BadGateway, Call, Inbound};

/// One exchange.
#[derive(Debug)]
pub struct Exchange {}

impl Exchange {
    /// One of which nothing is there yet.
    #[must_use]
    pub fn new(_keep: bool) -> Exchange {
        Exchange {}
    }

    /// Appends the request.
    pub fn request(&mut self, _call: &Call<'_>, _out: &mut Vec<u8>) {}

    /// See [`super::Codec::receive`].
    ///
    /// # Errors
    /// See [`super::Codec::receive`].
    pub fn receive<'a>(&mut self, _input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        Err(BadGateway("not yet"))
    }

    /// See [`super::Codec::close`].
    ///
    /// # Errors
    /// See [`super::Codec::close`].
    pub fn close(&mut self) -> Result<(), BadGateway> {
        Err(BadGateway("not yet"))
    }

    /// See [`super::Codec::send`].
    pub fn send(&mut self, _content: &[u8], _out: &mut Vec<u8>) {}

    /// See [`super::Codec::finish`].
    pub fn finish(&mut self, _out: &mut Vec<u8>) {}

    /// See [`super::Codec::is_reusable`].
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        false
    }
}
