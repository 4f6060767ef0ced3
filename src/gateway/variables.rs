//! One request as the meta-variables of RFC 3875 §4.1, and those beside them that programs have
//! come to expect. How they reach a program is not known here.
//!
//! *Invariant:* a name that a client can choose begins with `HTTP_`, and no two names of fields
//! lead to the same one.

use std::net::IpAddr;

use httparse::Header;

use super::{Call, write_address};
use crate::http::target::{Target, split_authority};

#[cfg(test)]
pub(super) mod tests;

/// Fields that no variable is made of. Some are told in other variables (RFC 3875 §4.1.18), some
/// are between the client and this server; the content is without its transfer coding by now.
const UNTOLD: [&str; 11] = [
    "Connection",
    "Content-Length",
    "Content-Type",
    "Host",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Calls `each` with name and value of every variable of `call`, each name once. What the
/// configuration says of a name holds.
///
/// No name is empty or has a `=` or NUL in it, and no value a NUL, for no environment could hold
/// them. From the client none can come: a target with a NUL is refused, and so is a field. From the
/// configuration they are left out.
pub fn variables(call: &Call<'_>, each: impl FnMut(&[u8], &[u8])) {
    let mut teller = Teller { environment: call.environment, text: Vec::with_capacity(64), each };
    server(call, &mut teller);
    request(call, &mut teller);
    script(call, &mut teller);
    client(call, &mut teller);
    fields(call, &mut teller);
    teller.tell_environment();
}

/// Tells variables, but none that the configuration tells.
struct Teller<'a, F> {
    environment: &'a [(String, String)],
    /// Where values are put together.
    text: Vec<u8>,
    each: F,
}

impl<F: FnMut(&[u8], &[u8])> Teller<'_, F> {
    fn tell(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if !self.says(name) {
            (self.each)(name.as_bytes(), value.as_ref());
        }
    }

    /// Tells what `write` puts together.
    fn tell_written(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.says(name) {
            self.text.clear();
            write(&mut self.text);
            (self.each)(name.as_bytes(), &self.text);
        }
    }

    /// Tells what the configuration has had a part in.
    fn tell_configured(&mut self, name: &str, value: &[u8]) {
        if !value.contains(&0) {
            self.tell(name, value);
        }
    }

    /// Whether the configuration tells `name`.
    fn says(&self, name: &str) -> bool {
        self.environment.iter().any(|(own, _)| own == name)
    }

    /// Of several values for one name, the last one holds.
    fn tell_environment(&mut self) {
        let environment = self.environment;
        for (at, (name, value)) in environment.iter().enumerate() {
            let is_last = !environment[at + 1..].iter().any(|(later, _)| later == name);
            let is_good = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
            if is_last && is_good {
                (self.each)(name.as_bytes(), value.as_bytes());
            }
        }
    }
}

/// Who is asked, and in which protocol: RFC 3875 §4.1.14 to §4.1.17.
fn server<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    let head = call.head;
    teller.tell("GATEWAY_INTERFACE", "CGI/1.1");
    teller.tell("SERVER_SOFTWARE", concat!("oneloop/", env!("CARGO_PKG_VERSION")));
    teller.tell("SERVER_PROTOCOL", if head.minor_version == 0 { "HTTP/1.0" } else { "HTTP/1.1" });
    teller.tell("REQUEST_SCHEME", call.scheme());
    // What programs look at who know nothing of schemes.
    if call.scheme() == "https" {
        teller.tell("HTTPS", "on");
    }
    // php-cgi wants a sign that a server has started it, and not a client's hand-made URL.
    teller.tell("REDIRECT_STATUS", "200");
    let address = call.server.map(|server| server.ip().to_canonical());
    if let Some(address) = address {
        teller.tell_written("SERVER_ADDR", |text| write_address(address, text));
    }
    match address {
        _ if !head.host.is_empty() => teller.tell("SERVER_NAME", head.host),
        Some(address) => teller.tell_written("SERVER_NAME", |text| write_host(address, text)),
        None => teller.tell("SERVER_NAME", "localhost"),
    }
    if let Some(server) = call.server {
        teller.tell("SERVER_PORT", itoa::Buffer::new().format(server.port()));
    } else {
        // A Unix-domain socket has no port of its own: what the client has asked for is all there
        // is.
        let asked = split_authority(head.authority).and_then(|(_, port)| port);
        teller.tell("SERVER_PORT", asked.unwrap_or("80"));
    }
}

/// Appends an address as it stands for a host.
fn write_host(address: IpAddr, out: &mut Vec<u8>) {
    let [open, close]: [&[u8]; 2] = if address.is_ipv6() { [b"[", b"]"] } else { [b"", b""] };
    out.extend_from_slice(open);
    write_address(address, out);
    out.extend_from_slice(close);
}

/// The request line, and what is said of the content: RFC 3875 §4.1.2, §4.1.3, §4.1.7, §4.1.12.
fn request<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    let target = &call.head.target;
    teller.tell("REQUEST_METHOD", call.head.method.as_str());
    teller.tell_written("REQUEST_URI", |text| write_request_uri(target, text));
    teller.tell("QUERY_STRING", target.query().unwrap_or(""));
    if let Some(length) = call.content_length {
        teller.tell("CONTENT_LENGTH", itoa::Buffer::new().format(length));
    }
    // Two types are none: whichever were told, somebody before us may have looked at the other.
    let mut types = values(call.head.fields.lines(), "Content-Type");
    if let (Some(only), None) = (types.next(), types.next()) {
        teller.tell("CONTENT_TYPE", only);
    }
}

/// Path and query as sent; of the absolute form, what stands behind the authority.
fn write_request_uri(target: &Target<'_>, out: &mut Vec<u8>) {
    let path = match *target {
        Target::Origin { path, .. } | Target::Absolute { path, .. } => path,
        Target::Authority(authority) => authority,
        Target::Asterisk => "*",
    };
    out.extend_from_slice(path.as_bytes());
    if let Some(query) = target.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
}

/// Which script, and what stands behind it: RFC 3875 §4.1.5, §4.1.6, §4.1.13.
fn script<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    let script = call.script;
    teller.tell_configured("SCRIPT_NAME", &script.name);
    if let Some(file) = &script.file {
        teller.tell_configured("SCRIPT_FILENAME", file.as_os_str().as_encoded_bytes());
    }
    if !script.path_info.is_empty() {
        teller.tell("PATH_INFO", &script.path_info);
    }
    let Some(root) = &script.root else { return };
    let root = root.as_os_str().as_encoded_bytes();
    teller.tell_configured("DOCUMENT_ROOT", root);
    if !script.path_info.is_empty() {
        let root = root.strip_suffix(b"/").unwrap_or(root);
        teller.tell_configured("PATH_TRANSLATED", &[root, &script.path_info].concat());
    }
}

/// Who asks: RFC 3875 §4.1.1, §4.1.8 to §4.1.11. No name is looked up: `REMOTE_HOST` is the
/// address, which §4.1.9 allows. Over a Unix-domain socket there is none.
fn client<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    if let Some(user) = call.user {
        teller.tell("AUTH_TYPE", "Basic");
        teller.tell("REMOTE_USER", user);
    }
    if let Some(asker) = call.asker() {
        let address = asker.to_canonical();
        teller.tell_written("REMOTE_ADDR", |text| write_address(address, text));
        teller.tell_written("REMOTE_HOST", |text| write_address(address, text));
        // From which port somebody else has connected says nothing of the client.
        if let Some(client) = call.client.filter(|client| client.ip() == asker) {
            teller.tell("REMOTE_PORT", itoa::Buffer::new().format(client.port()));
        }
    }
}

/// The request's other fields: RFC 3875 §4.1.18. Several lines of a name become one variable.
fn fields<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    // The target's authority outranks Host (RFC 9112 §3.2.2); here, two names would contradict.
    if !call.head.authority.is_empty() {
        teller.tell("HTTP_HOST", call.head.authority);
    }
    let mut name = String::with_capacity(64);
    let lines = call.head.fields.lines();
    for (at, line) in lines.iter().enumerate() {
        let is_told = values(&lines[..at], line.name).next().is_some();
        if is_told || !is_tellable(line.name, call.user.is_some()) {
            continue;
        }
        name.clear();
        name.push_str("HTTP_");
        let spelled = line.name.chars().map(|letter| letter.to_ascii_uppercase());
        name.extend(spelled.map(|letter| if letter == '-' { '_' } else { letter }));
        let joint: &[u8] = if name == "HTTP_COOKIE" { b"; " } else { b", " };
        teller.tell_written(&name, |text| {
            text.extend_from_slice(line.value);
            for value in values(&lines[at + 1..], line.name) {
                text.extend_from_slice(joint);
                text.extend_from_slice(value);
            }
        });
    }
}

/// Whether the field `name` becomes a variable.
///
/// A byte other than a letter, a digit or `-` could make it the alias of another one: `X_User` of
/// `X-User`. Proxy would become `HTTP_PROXY`, which programs take for a setting of theirs.
/// And a password that was checked here is nobody else's.
fn is_tellable(name: &str, is_authenticated: bool) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_untold = UNTOLD.iter().any(|untold| is(untold)) || is("Proxy");
    let is_secret = is_authenticated && is("Authorization");
    is_plain && !is_untold && !is_secret
}

/// The values of those `lines` that are named `name`, in any case.
fn values<'a>(lines: &'a [Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    lines.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
}
