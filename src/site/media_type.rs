//! Media types of files, by the extension of their names. What is in the files is not known here.

use std::fmt;

use crate::http::fields::{is_name, is_value};

/// The built-in table, and what the configuration adds to it.
///
/// The extension is what follows the last dot of a name, in any case. A name that only begins with
/// a dot has none. Where nothing fits, the type is `application/octet-stream`: browsers save that.
#[derive(Clone, Debug, Default)]
pub struct MediaTypes {
    /// Extension in lower case without dot, and Content-Type; sorted by extension.
    added: Vec<(Box<str>, Box<str>)>,
    /// In place of `application/octet-stream`.
    unknown: Option<Box<str>>,
}

/// Why an addition cannot be taken up. Its `Display` is a whole sentence, without the full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMediaType(String);

/// Longer extensions, in bytes, are known neither to the table nor to what is added to it.
const MAX_EXTENSION: usize = 24;

impl MediaTypes {
    /// Adds the media type of one extension (with or without its dot, in any case) or replaces it.
    /// The extension `*` stands for all that are unknown, and for names without one.
    ///
    /// A `text/…` type without parameters gets `; charset=utf-8`; with parameters it is kept as it
    /// is.
    ///
    /// # Errors
    /// If `extension` is empty, too long or holds a dot, slash or control byte, or if `media_type`
    /// is not a media type (RFC 9110 §8.3.1).
    pub fn add(&mut self, extension: &str, media_type: &str) -> Result<(), BadMediaType> {
        if !is_media_type(media_type) {
            return Err(BadMediaType(format!(
                "{media_type:?} is not a media type; one looks like \"text/plain\""
            )));
        }
        let is_bare_text = !media_type.contains(';')
            && media_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
        let charset = if is_bare_text { "; charset=utf-8" } else { "" };
        let media_type = format!("{media_type}{charset}").into_boxed_str();
        if extension == "*" {
            self.unknown = Some(media_type);
            return Ok(());
        }
        let key = extension.strip_prefix('.').unwrap_or(extension).to_ascii_lowercase();
        if key.is_empty()
            || key.len() > MAX_EXTENSION
            || key.bytes().any(|byte| byte == b'.' || byte == b'/' || byte.is_ascii_control())
        {
            return Err(BadMediaType(format!(
                "{extension:?} is not an extension of file names; one looks like \"html\""
            )));
        }
        match self.added.binary_search_by(|(known, _)| (**known).cmp(&key)) {
            Ok(at) => self.added[at].1 = media_type,
            Err(at) => self.added.insert(at, (key.into(), media_type)),
        }
        Ok(())
    }

    /// The Content-Type of a file with this name, or at this path. Allocates nothing.
    #[must_use]
    pub fn of(&self, name: &[u8]) -> &str {
        extension(name)
            .and_then(|extension| {
                let mut space = [0; MAX_EXTENSION];
                let key = space.get_mut(..extension.len())?;
                key.copy_from_slice(extension);
                key.make_ascii_lowercase();
                self.find(key)
            })
            .or(self.unknown.as_deref())
            .unwrap_or("application/octet-stream")
    }

    fn find(&self, key: &[u8]) -> Option<&str> {
        let in_added = self.added.binary_search_by(|(known, _)| known.as_bytes().cmp(key));
        if let Ok(at) = in_added {
            return Some(&self.added[at].1);
        }
        let at = TABLE.binary_search_by(|(known, _)| known.as_bytes().cmp(key)).ok()?;
        Some(TABLE[at].1)
    }
}

/// What follows the last dot of the last segment of `path`, unless that dot begins the segment.
fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let dot = memchr::memrchr(b'.', name)?;
    (dot > 0).then(|| &name[dot + 1..])
}

/// `type/subtype`, and perhaps parameters (RFC 9110 §8.3.1). Parameters are not taken apart, only
/// kept from ending the field line.
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = match text.split_once(';') {
        Some((essence, parameters)) => (essence, Some(parameters)),
        None => (text, None),
    };
    let is_essence = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_name(kind.as_bytes()) && is_name(subtype.as_bytes()));
    let is_parameter = |text: &str| {
        text.is_ascii()
            && is_value(text.trim_start_matches(' ').as_bytes())
            && text
                .trim_start_matches(' ')
                .split_once('=')
                .is_some_and(|(name, value)| is_name(name.as_bytes()) && !value.is_empty())
    };
    is_essence && parameters.is_none_or(is_parameter)
}

impl fmt::Display for BadMediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadMediaType {}

/// Sorted by extension, in lower case. Text says that it is UTF-8; JSON has no such parameter
/// (RFC 8259 §11), nor has XML that names its own encoding.
#[rustfmt::skip]
const TABLE: &[(&str, &str)] = &[
    ("3g2", "video/3gpp2"),
    ("3gp", "video/3gpp"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("abw", "application/x-abiword"),
    ("ai", "application/postscript"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("asc", "text/plain; charset=utf-8"),
    ("asf", "video/x-ms-asf"),
    ("atom", "application/atom+xml"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("azw", "application/vnd.amazon.ebook"),
    ("bash", "text/plain; charset=utf-8"),
    ("bat", "text/plain; charset=utf-8"),
    ("bib", "text/plain; charset=utf-8"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cc", "text/plain; charset=utf-8"),
    ("cer", "application/pkix-cert"),
    ("cff", "text/plain; charset=utf-8"),
    ("cfg", "text/plain; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("conf", "text/plain; charset=utf-8"),
    ("cpp", "text/plain; charset=utf-8"),
    ("crl", "application/pkix-crl"),
    ("crt", "application/x-x509-ca-cert"),
    ("crx", "application/x-chrome-extension"),
    ("cs", "text/plain; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("cue", "text/plain; charset=utf-8"),
    ("dart", "text/plain; charset=utf-8"),
    ("deb", "application/vnd.debian.binary-package"),
    ("der", "application/x-x509-ca-cert"),
    ("diff", "text/x-diff; charset=utf-8"),
    ("djvu", "image/vnd.djvu"),
    ("dmg", "application/x-apple-diskimage"),
    ("doc", "application/msword"),
    ("docm", "application/vnd.ms-word.document.macroEnabled.12"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("dot", "text/vnd.graphviz; charset=utf-8"),
    ("dtd", "application/xml-dtd"),
    ("ear", "application/java-archive"),
    ("eml", "message/rfc822"),
    ("eot", "application/vnd.ms-fontobject"),
    ("eps", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("f4v", "video/mp4"),
    ("flac", "audio/flac"),
    ("flv", "video/x-flv"),
    ("gemini", "text/gemini; charset=utf-8"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("go", "text/plain; charset=utf-8"),
    ("gpg", "application/pgp-encrypted"),
    ("gpx", "application/gpx+xml"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("hpp", "text/plain; charset=utf-8"),
    ("hqx", "application/mac-binhex40"),
    ("hs", "text/plain; charset=utf-8"),
    ("htc", "text/x-component; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("ini", "text/plain; charset=utf-8"),
    ("ipynb", "application/x-ipynb+json"),
    ("iso", "application/x-iso9660-image"),
    ("jad", "text/vnd.sun.j2me.app-descriptor; charset=utf-8"),
    ("jar", "application/java-archive"),
    ("java", "text/plain; charset=utf-8"),
    ("jfif", "image/jpeg"),
    ("jnlp", "application/x-java-jnlp-file"),
    ("jp2", "image/jp2"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("json5", "application/json5"),
    ("jsonl", "application/jsonl"),
    ("jsonld", "application/ld+json"),
    ("jsx", "text/plain; charset=utf-8"),
    ("jxl", "image/jxl"),
    ("kar", "audio/midi"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("kt", "text/plain; charset=utf-8"),
    ("latex", "application/x-latex"),
    ("less", "text/plain; charset=utf-8"),
    ("lock", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("lua", "text/plain; charset=utf-8"),
    ("lz4", "application/x-lz4"),
    ("m2ts", "video/mp2t"),
    ("m3u", "audio/x-mpegurl"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4s", "video/iso.segment"),
    ("m4v", "video/mp4"),
    ("manifest", "text/cache-manifest; charset=utf-8"),
    ("map", "application/json"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("mathml", "application/mathml+xml"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mka", "audio/matroska"),
    ("mkv", "video/matroska"),
    ("mml", "application/mathml+xml"),
    ("mng", "video/x-mng"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("mpga", "audio/mpeg"),
    ("msi", "application/x-msi"),
    ("ndjson", "application/x-ndjson"),
    ("obj", "model/obj"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("ogx", "application/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("p12", "application/x-pkcs12"),
    ("p7c", "application/pkcs7-mime"),
    ("p7m", "application/pkcs7-mime"),
    ("p7s", "application/pkcs7-signature"),
    ("patch", "text/x-diff; charset=utf-8"),
    ("pbm", "image/x-portable-bitmap"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pdf", "application/pdf"),
    ("pem", "application/x-pem-file"),
    ("pfx", "application/x-pkcs12"),
    ("pgm", "image/x-portable-graymap"),
    ("php", "application/x-httpd-php"),
    ("pl", "text/plain; charset=utf-8"),
    ("pmtiles", "application/vnd.pmtiles"),
    ("png", "image/png"),
    ("pnm", "image/x-portable-anymap"),
    ("po", "text/x-gettext-translation; charset=utf-8"),
    ("ppm", "image/x-portable-pixmap"),
    ("pps", "application/vnd.ms-powerpoint"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptm", "application/vnd.ms-powerpoint.presentation.macroEnabled.12"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("prc", "application/x-mobipocket-ebook"),
    ("properties", "text/plain; charset=utf-8"),
    ("proto", "text/plain; charset=utf-8"),
    ("ps", "application/postscript"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("py", "text/x-python; charset=utf-8"),
    ("r", "text/plain; charset=utf-8"),
    ("rar", "application/vnd.rar"),
    ("rb", "text/plain; charset=utf-8"),
    ("rdf", "application/rdf+xml"),
    ("rng", "application/xml"),
    ("rpm", "application/x-rpm"),
    ("rs", "text/plain; charset=utf-8"),
    ("rss", "application/rss+xml"),
    ("rst", "text/plain; charset=utf-8"),
    ("rtf", "application/rtf"),
    ("sass", "text/plain; charset=utf-8"),
    ("scss", "text/plain; charset=utf-8"),
    ("sfv", "text/plain; charset=utf-8"),
    ("sgml", "text/sgml; charset=utf-8"),
    ("sh", "text/plain; charset=utf-8"),
    ("sha256", "text/plain; charset=utf-8"),
    ("sha512", "text/plain; charset=utf-8"),
    ("shtml", "text/html; charset=utf-8"),
    ("sig", "application/pgp-signature"),
    ("sql", "application/sql"),
    ("sqlite", "application/vnd.sqlite3"),
    ("srt", "text/plain; charset=utf-8"),
    ("stl", "model/stl"),
    ("svg", "image/svg+xml"),
    ("swf", "application/x-shockwave-flash"),
    ("swift", "text/plain; charset=utf-8"),
    ("tar", "application/x-tar"),
    ("tcl", "text/plain; charset=utf-8"),
    ("tex", "application/x-tex"),
    ("text", "text/plain; charset=utf-8"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("torrent", "application/x-bittorrent"),
    ("ts", "video/mp2t"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("tsx", "text/plain; charset=utf-8"),
    ("ttc", "font/collection"),
    ("ttf", "font/ttf"),
    ("ttl", "text/turtle; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vsd", "application/vnd.visio"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("vue", "text/plain; charset=utf-8"),
    ("war", "application/java-archive"),
    ("wasm", "application/wasm"),
    ("wat", "text/plain; charset=utf-8"),
    ("wav", "audio/wav"),
    ("wbmp", "image/vnd.wap.wbmp"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("wma", "audio/x-ms-wma"),
    ("wmv", "video/x-ms-wmv"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("xpi", "application/x-xpinstall"),
    ("xsd", "application/xml"),
    ("xsl", "application/xslt+xml"),
    ("xslt", "application/xslt+xml"),
    ("xspf", "application/xspf+xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_line_of_it_could_be_configured() {
        assert!(TABLE.len() >= 200);
        assert!(TABLE.is_sorted_by(|(one, _), (next, _)| one < next));
        for &(extension, media_type) in TABLE {
            let mut types = MediaTypes::default();
            types.add(extension, media_type).unwrap();
            assert_eq!(types.added[0], (extension.into(), media_type.into()));
            let is_text = media_type.starts_with("text/");
            assert_eq!(is_text, media_type.ends_with("; charset=utf-8"), "{extension}");
        }
    }

    #[test]
    fn the_last_extension_of_the_last_segment_counts_in_any_case() {
        let types = MediaTypes::default();
        for (path, media_type) in [
            ("index.html", "text/html; charset=utf-8"),
            ("/a/b/APP.MJS", "text/javascript; charset=utf-8"),
            ("/a.html/b.Json", "application/json"),
            ("site.tar.gz", "application/gzip"),
            (".a.css", "text/css; charset=utf-8"),
            ("..png", "image/png"),
            ("a.zst", "application/zstd"),
            ("a.3g2", "video/3gpp2"),
        ] {
            assert_eq!(types.of(path.as_bytes()), media_type, "{path}");
        }
    }

    #[test]
    fn what_is_unknown_is_octets() {
        let types = MediaTypes::default();
        let long = format!("a.{}", "x".repeat(10_000));
        for path in
            ["", "/", "README", ".html", "/a.html/", "/a.html/b", "a.", ".", "a.htm l", &long]
        {
            assert_eq!(types.of(path.as_bytes()), "application/octet-stream", "{path:?}");
        }
        assert_eq!(types.of(b"a.\xff\xfe"), "application/octet-stream");
    }

    #[test]
    fn additions_win_over_the_table_and_text_gets_its_charset() {
        let mut types = MediaTypes::default();
        for (extension, media_type) in [
            ("wasm", "application/x-wasm"),
            (".FOO", "text/foo"),
            ("bar", "TEXT/bar"),
            ("latin", "text/plain; charset=iso-8859-1"),
            ("*", "text/plain"),
            ("foo", "text/foo2"),
        ] {
            types.add(extension, media_type).unwrap();
        }
        assert_eq!(types.of(b"a.wasm"), "application/x-wasm");
        assert_eq!(types.of(b"a.Foo"), "text/foo2; charset=utf-8");
        assert_eq!(types.of(b"a.bar"), "TEXT/bar; charset=utf-8");
        assert_eq!(types.of(b"a.latin"), "text/plain; charset=iso-8859-1");
        assert_eq!(types.of(b"a.css"), "text/css; charset=utf-8");
        assert_eq!(types.of(b"README"), "text/plain; charset=utf-8");
    }

    #[test]
    fn what_is_no_addition_is_refused() {
        let mut types = MediaTypes::default();
        for media_type in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain/x",
            "text/pl ain",
            " text/plain",
            "text/plain ",
            "text/plain;",
            "text/plain; ",
            "text/plain; charset",
            "text/plain;=a",
            "text/plain; a=",
            "text/plain; a=b\r\nX: y",
            "text/plain\n",
            "te\0xt/plain",
            "text/pläin",
            "text/plain; a=ä",
        ] {
            let error = types.add("x", media_type).expect_err(media_type);
            assert!(error.to_string().contains("is not a media type"));
        }
        let long = "x".repeat(MAX_EXTENSION + 1);
        for extension in ["", ".", "..a", "a.b", "a/b", "a\n", &long] {
            let error = types.add(extension, "text/plain").expect_err(extension);
            assert!(error.to_string().contains("is not an extension"));
        }
        types.add(&long[1..], "text/x").expect("as long as it may be");
        assert_eq!(types.of(format!("a.{}", &long[1..]).as_bytes()), "text/x; charset=utf-8");
    }
}
