//! A request kept until it can be answered: its head, and content as it comes in.

use crate::http::Refusal;
use crate::http::status::Status;

/// The copy of one request.
#[derive(Debug, Default)]
pub(super) struct Spool {
    head: Vec<u8>,
    content: Vec<u8>,
    limit: u64,
}

impl Spool {
    /// Keeps `head`, the bytes of a whole head, and room for up to `limit` bytes of content.
    #[must_use]
    pub(super) fn new(head: &[u8], limit: u64) -> Self {
        Spool { head: head.to_vec(), content: Vec::new(), limit }
    }

    /// Keeps more content.
    ///
    /// # Errors
    /// 413 once it is more than the limit.
    pub(super) fn push(&mut self, content: &[u8]) -> Result<(), Refusal> {
        if (self.content.len() + content.len()) as u64 > self.limit {
            return Err(too_large());
        }
        self.content.extend_from_slice(content);
        Ok(())
    }

    /// The head's bytes.
    #[must_use]
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The content so far.
    #[must_use]
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }
}

/// The refusal of content that is over its limit.
#[must_use]
pub(super) fn too_large() -> Refusal {
    Refusal { status: Status::CONTENT_TOO_LARGE, why: "the content is larger than is taken here" }
}
