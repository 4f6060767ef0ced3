//! Dates (RFC 9110 §5.6.7): read in the three forms there are, written in one of them and in the
//! forms of the logs. Always UTC, always whole seconds. What time it is, is not known here.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use httpdate::HttpDate;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixSeconds = u64;

/// The last second of the year 9999; the next one has no HTTP-date.
const LAST: UnixSeconds = 253_402_300_799;

/// The names of the months, and their numbers.
const MONTHS: [(&[u8], &[u8]); 12] = [
    (b"Jan", b"01"),
    (b"Feb", b"02"),
    (b"Mar", b"03"),
    (b"Apr", b"04"),
    (b"May", b"05"),
    (b"Jun", b"06"),
    (b"Jul", b"07"),
    (b"Aug", b"08"),
    (b"Sep", b"09"),
    (b"Oct", b"10"),
    (b"Nov", b"11"),
    (b"Dec", b"12"),
];

/// Reads an HTTP-date: IMF-fixdate, RFC 850's form or asctime's, in exactly the case and spacing of
/// RFC 9110 §5.6.7. `None` if it is no such date, names a day that there is not or the wrong day of
/// the week, lies before 1970, or stands in a leap second.
///
/// RFC 850's two-digit year is one of 1970 to 2069. By any clock that shows 2019 or later that is
/// never more than fifty years ahead, which is all that the RFC asks.
#[must_use]
pub fn parse(value: &[u8]) -> Option<UnixSeconds> {
    let date = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// One second, written out. Made once per second, and then copied into every answer and log line
/// of that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    seconds: UnixSeconds,
    /// `Sun, 06 Nov 1994 08:49:37 GMT`: every other form is cut from this one.
    http: [u8; 29],
}

impl Stamp {
    /// Writes `seconds` out. What lies after the year 9999 is written as the end of that year.
    #[must_use]
    pub fn new(seconds: UnixSeconds) -> Stamp {
        let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST)));
        let mut http = [0; 29];
        let written = write!(&mut http[..], "{date}");
        debug_assert!(written.is_ok(), "an IMF-fixdate has 29 bytes");
        Stamp { seconds, http }
    }

    /// The second this stamp was made of.
    #[must_use]
    pub fn seconds(&self) -> UnixSeconds {
        self.seconds
    }

    /// As an IMF-fixdate, for Date and Last-Modified: `Tue, 10 Oct 2000 13:55:36 GMT`.
    #[must_use]
    pub fn http(&self) -> &[u8; 29] {
        &self.http
    }

    /// As in the common log format: `10/Oct/2000:13:55:36 +0000`.
    #[must_use]
    pub fn clf(&self) -> [u8; 26] {
        let mut clf = *b"DD/Mon/YYYY:hh:mm:ss +0000";
        clf[..2].copy_from_slice(self.day());
        clf[3..6].copy_from_slice(self.month());
        clf[7..11].copy_from_slice(self.year());
        clf[12..20].copy_from_slice(self.time());
        clf
    }

    /// As in ISO 8601 and RFC 3339: `2000-10-10T13:55:36Z`.
    #[must_use]
    pub fn iso(&self) -> [u8; 20] {
        let mut iso = *b"YYYY-MM-DDThh:mm:ssZ";
        iso[..4].copy_from_slice(self.year());
        for (_, number) in MONTHS.iter().filter(|(name, _)| *name == self.month()) {
            iso[5..7].copy_from_slice(number);
        }
        iso[8..10].copy_from_slice(self.day());
        iso[11..19].copy_from_slice(self.time());
        iso
    }

    /// As in RFC 3164 §4.1.2: `Oct 10 13:55:36`, `Nov  6 08:49:37`.
    #[must_use]
    pub fn syslog(&self) -> [u8; 15] {
        let mut syslog = *b"Mmm dd hh:mm:ss";
        syslog[..3].copy_from_slice(self.month());
        syslog[4..6].copy_from_slice(self.day());
        if syslog[4] == b'0' {
            syslog[4] = b' ';
        }
        syslog[7..].copy_from_slice(self.time());
        syslog
    }

    fn day(&self) -> &[u8] {
        &self.http[5..7]
    }

    fn month(&self) -> &[u8] {
        &self.http[8..11]
    }

    fn year(&self) -> &[u8] {
        &self.http[12..16]
    }

    /// `hh:mm:ss`
    fn time(&self) -> &[u8] {
        &self.http[17..25]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    /// Year, month and day of the month, counted up from 1970 one month at a time.
    fn calendar(mut days: u64) -> (u64, usize, u64) {
        for year in 1970.. {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(months) {
                if days < length {
                    return (year, month, days + 1);
                }
                days -= length;
            }
        }
        unreachable!("the years do not end")
    }

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).expect("dates are ASCII")
    }

    #[test]
    fn the_three_forms_name_the_same_second() {
        for form in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(form.as_bytes()), Some(784_111_777), "{form}");
        }
        assert_eq!(parse(b"Sun Nov 16 08:49:37 2003"), Some(1_068_972_577));
        assert_eq!(parse(b"Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse(b"Fri, 31 Dec 9999 23:59:59 GMT"), Some(LAST));
    }

    #[test]
    fn a_two_digit_year_is_one_of_1970_to_2069() {
        assert_eq!(parse(b"Thursday, 01-Jan-70 00:00:00 GMT"), Some(0));
        assert_eq!(parse(b"Friday, 31-Dec-99 23:59:59 GMT"), Some(946_684_799));
        assert_eq!(parse(b"Saturday, 01-Jan-00 00:00:00 GMT"), Some(946_684_800));
        assert_eq!(parse(b"Tuesday, 31-Dec-69 23:59:59 GMT"), Some(3_155_759_999));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for value in [
            "",
            "0",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Thu, 30 Feb 2023 00:00:00 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sat, 31 Dec 2016 23:59:60 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:3\u{663} GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 GM\xd4"), None);
    }

    #[test]
    fn no_cut_of_a_date_is_a_date_and_none_panics() {
        for form in [
            &b"Sun, 06 Nov 1994 08:49:37 GMT"[..],
            b"Wednesday, 09-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ] {
            assert!(parse(form).is_some());
            for cut in 0..form.len() {
                assert_eq!(parse(&form[..cut]), None, "{}", text(&form[..cut]));
                if cut > 0 {
                    assert_eq!(parse(&form[cut..]), None, "{}", text(&form[cut..]));
                }
            }
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_make_an_impossible_date() {
        let mut random = fastrand::Rng::with_seed(1994);
        for _ in 0..20_000 {
            let mut value = match random.u8(..4) {
                0 => b"Sun, 06 Nov 1994 08:49:37 GMT".to_vec(),
                1 => b"Sunday, 06-Nov-94 08:49:37 GMT".to_vec(),
                2 => b"Sun Nov  6 08:49:37 1994".to_vec(),
                _ => (0..random.usize(..40)).map(|_| random.u8(..)).collect(),
            };
            for _ in 0..random.usize(..4) {
                if !value.is_empty() {
                    let at = random.usize(..value.len());
                    value[at] = if random.bool() { random.u8(b'0'..=b'9') } else { random.u8(..) };
                }
            }
            if let Some(seconds) = parse(&value) {
                assert_eq!(parse(Stamp::new(seconds).http()), Some(seconds), "{value:?}");
            }
        }
    }

    #[test]
    fn a_stamp_has_every_form() {
        let stamp = Stamp::new(971_186_136);
        assert_eq!(stamp.seconds(), 971_186_136);
        assert_eq!(text(stamp.http()), "Tue, 10 Oct 2000 13:55:36 GMT");
        assert_eq!(text(&stamp.clf()), "10/Oct/2000:13:55:36 +0000");
        assert_eq!(text(&stamp.iso()), "2000-10-10T13:55:36Z");
        assert_eq!(text(&stamp.syslog()), "Oct 10 13:55:36");
        assert_eq!(text(&Stamp::new(784_111_777).syslog()), "Nov  6 08:49:37");
    }

    #[test]
    fn stamps_agree_with_the_calendar() {
        let mut random = fastrand::Rng::with_seed(400);
        let leap_days = [951_782_399, 951_782_400, 4_107_542_399, 4_107_542_400];
        let some = (0..500).map(|_| random.u64(..20_000_000_000));
        for seconds in some.chain(leap_days).chain([0, DAY - 1, DAY]) {
            let (year, month, day) = calendar(seconds / DAY);
            let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
            let iso = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
            let stamp = Stamp::new(seconds);
            assert_eq!(text(&stamp.iso()), iso);
            assert_eq!(parse(stamp.http()), Some(seconds));
            let name = text(MONTHS[month - 1].0);
            let clf = format!("{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
            assert_eq!(text(&stamp.clf()), clf);
        }
    }

    #[test]
    fn the_end_of_the_year_9999_is_the_end_of_time() {
        for seconds in [LAST, LAST + 1, u64::MAX] {
            assert_eq!(text(Stamp::new(seconds).http()), "Fri, 31 Dec 9999 23:59:59 GMT");
            assert_eq!(Stamp::new(seconds).seconds(), seconds);
        }
    }
}
