//! Skeleton.
use super::{BadGateway, Inbound};

/// The response of a script.
#[derive(Debug, Default)]
pub struct Answer {}

impl Answer {
    /// One of which nothing is there yet.
    #[must_use]
    pub fn new() -> Answer {
        Answer {}
    }

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
}
