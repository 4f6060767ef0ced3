//! Status codes (RFC 9110 §15) and their reason phrases.

use std::fmt;

/// A status code: 100 to 599.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)+) => {
        impl Status {
            $(
                #[doc = concat!("`", $code, " ", $reason, "`")]
                pub const $name: Status = Status($code);
            )+

            /// The registered reason phrase; empty for a code without one (RFC 9112 §4 allows
            /// that).
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)+
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    100 CONTINUE "Continue"
    101 SWITCHING_PROTOCOLS "Switching Protocols"
    103 EARLY_HINTS "Early Hints"
    200 OK "OK"
    201 CREATED "Created"
    202 ACCEPTED "Accepted"
    203 NON_AUTHORITATIVE_INFORMATION "Non-Authoritative Information"
    204 NO_CONTENT "No Content"
    205 RESET_CONTENT "Reset Content"
    206 PARTIAL_CONTENT "Partial Content"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 FOUND "Found"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    307 TEMPORARY_REDIRECT "Temporary Redirect"
    308 PERMANENT_REDIRECT "Permanent Redirect"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    408 REQUEST_TIMEOUT "Request Timeout"
    409 CONFLICT "Conflict"
    410 GONE "Gone"
    411 LENGTH_REQUIRED "Length Required"
    412 PRECONDITION_FAILED "Precondition Failed"
    413 CONTENT_TOO_LARGE "Content Too Large"
    414 URI_TOO_LONG "URI Too Long"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable"
    417 EXPECTATION_FAILED "Expectation Failed"
    421 MISDIRECTED_REQUEST "Misdirected Request"
    422 UNPROCESSABLE_CONTENT "Unprocessable Content"
    426 UPGRADE_REQUIRED "Upgrade Required"
    428 PRECONDITION_REQUIRED "Precondition Required"
    429 TOO_MANY_REQUESTS "Too Many Requests"
    431 REQUEST_HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large"
    451 UNAVAILABLE_FOR_LEGAL_REASONS "Unavailable For Legal Reasons"
    500 INTERNAL_SERVER_ERROR "Internal Server Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 GATEWAY_TIMEOUT "Gateway Timeout"
    505 HTTP_VERSION_NOT_SUPPORTED "HTTP Version Not Supported"
    507 INSUFFICIENT_STORAGE "Insufficient Storage"
    508 LOOP_DETECTED "Loop Detected"
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required"
}

impl Status {
    /// The status with this code, if it is one that may end a response: 200 to 599.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Status> {
        (200..=599).contains(&code).then_some(Status(code))
    }

    /// The status with this code, if it is one of an interim response, which another one follows:
    /// 100 to 199, but not 101 (RFC 9110 §15.2).
    #[must_use]
    pub fn interim(code: u16) -> Option<Status> {
        let status = Status(code);
        ((100..=199).contains(&code) && status != Status::SWITCHING_PROTOCOLS).then_some(status)
    }

    /// The three digits as a number.
    #[must_use]
    pub fn code(self) -> u16 {
        self.0
    }

    /// 4xx or 5xx.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.0 >= 400
    }

    /// Whether a response with this status never has content, whatever was asked
    /// (RFC 9110 §6.4.1: 1xx, 204 and 304).
    #[must_use]
    pub fn forbids_content(self) -> bool {
        self.0 < 200 || matches!(self, Status::NO_CONTENT | Status::NOT_MODIFIED)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{}", self.0),
            reason => write!(f, "{} {reason}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_codes_can_be_made_from_numbers() {
        assert_eq!(Status::from_code(404), Some(Status::NOT_FOUND));
        assert_eq!(Status::from_code(299).map(Status::reason), Some(""));
        assert_eq!(Status::from_code(101), None);
        assert_eq!(Status::from_code(600), None);
    }

    #[test]
    fn interim_codes_are_those_that_end_nothing() {
        assert_eq!(Status::interim(100), Some(Status::CONTINUE));
        assert_eq!(Status::interim(199).map(Status::code), Some(199));
        for code in [0, 99, 101, 200, 404, 1100] {
            assert_eq!(Status::interim(code), None, "{code}");
        }
    }
}
