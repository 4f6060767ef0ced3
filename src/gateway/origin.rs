//! Skeleton.
use super::{BadGateway, Call, Inbound};
use crate::http::method::Method;

/// One exchange.
#[derive(Debug)]
pub struct Exchange {}

/// Appends the target.
pub fn target(_path: &[u8], _query: Option<&str>, _strip: Option<&str>, _out: &mut Vec<u8>) {}

/// How a request is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Path, percent-encoded, and query.
    pub target: &'a [u8],
    /// The value of Host.
    pub host: &'a str,
}

impl Exchange {
    /// One of which nothing is there yet.
    #[must_use]
    pub fn new(_method: Method<'_>) -> Exchange {
        Exchange {}
    }

    /// The output of a script that writes its whole head itself.
    #[must_use]
    pub fn of_script(_method: Method<'_>) -> Exchange {
        Exchange {}
    }

    /// Appends the request's head.
    pub fn request(&mut self, _call: &Call<'_>, _forward: &Forward<'_>, _out: &mut Vec<u8>) {}

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
