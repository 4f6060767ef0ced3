//! One request as the meta-variables of RFC 3875 §4.1, and those beside them that programs have
//! come to expect. How they reach a program is not known here.
//!
//! *Invariant:* a name that a client can choose begins with `HTTP_`, and no two names of fields
//! lead to the same one.

use super::Call;
use crate::http::fields::Fields;
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
    let mut teller = Teller { environment: call.environment, each };
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
    each: F,
}

impl<F: FnMut(&[u8], &[u8])> Teller<'_, F> {
    fn tell(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if !self.environment.iter().any(|(own, _)| own == name) {
            self.pass(name, value.as_ref());
        }
    }

    /// Of several values for one name, the last one holds.
    fn tell_environment(&mut self) {
        let environment = self.environment;
        for (at, (name, value)) in environment.iter().enumerate() {
            if !environment[at + 1..].iter().any(|(later, _)| later == name) {
                self.pass(name, value.as_bytes());
            }
        }
    }

    fn pass(&mut self, name: &str, value: &[u8]) {
        if !name.is_empty() && !name.contains(['=', '\0']) && !value.contains(&0) {
            (self.each)(name.as_bytes(), value);
        }
    }
}

/// Who is asked, and in which protocol: RFC 3875 §4.1.14 to §4.1.17.
fn server<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    teller.tell("GATEWAY_INTERFACE", "CGI/1.1");
    teller.tell("SERVER_SOFTWARE", concat!("oneloop/", env!("CARGO_PKG_VERSION")));
    teller.tell("SERVER_PROTOCOL", format!("HTTP/1.{}", call.head.minor_version));
    teller.tell("REQUEST_SCHEME", "http");
    // php-cgi wants a sign that a server has started it, and not a client's hand-made URL.
    teller.tell("REDIRECT_STATUS", "200");
    let address = call.server.map(|server| server.ip().to_canonical());
    if let Some(address) = address {
        teller.tell("SERVER_ADDR", address.to_string());
    }
    let own = match address {
        Some(address) if address.is_ipv6() => format!("[{address}]"),
        Some(address) => address.to_string(),
        None => "localhost".to_owned(),
    };
    teller.tell("SERVER_NAME", if call.head.host.is_empty() { &own } else { call.head.host });
    // A Unix-domain socket has no port of its own: what the client has asked for is all there is.
    let asked = split_authority(call.head.authority).and_then(|(_, port)| port);
    match call.server.map(|server| server.port()) {
        Some(port) => teller.tell("SERVER_PORT", port.to_string()),
        None => teller.tell("SERVER_PORT", asked.unwrap_or("80")),
    }
}

/// The request line, and what is said of the content: RFC 3875 §4.1.2, §4.1.3, §4.1.7, §4.1.12.
fn request<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    let target = &call.head.target;
    teller.tell("REQUEST_METHOD", call.head.method.as_str());
    teller.tell("REQUEST_URI", request_uri(target));
    teller.tell("QUERY_STRING", target.query().unwrap_or(""));
    if let Some(length) = call.content_length {
        teller.tell("CONTENT_LENGTH", length.to_string());
    }
    // Two types are none: whichever were told, somebody before us may have looked at the other.
    let mut types = values(&call.head.fields, "Content-Type");
    if let (Some(only), None) = (types.next(), types.next()) {
        teller.tell("CONTENT_TYPE", only);
    }
}

/// Path and query as sent; of the absolute form, what stands behind the authority.
fn request_uri(target: &Target<'_>) -> String {
    let path = match *target {
        Target::Origin { path, .. } | Target::Absolute { path, .. } => path,
        Target::Authority(authority) => authority,
        Target::Asterisk => "*",
    };
    match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Which script, and what stands behind it: RFC 3875 §4.1.5, §4.1.6, §4.1.13.
fn script<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    let script = call.script;
    teller.tell("SCRIPT_NAME", &script.name);
    if let Some(file) = &script.file {
        teller.tell("SCRIPT_FILENAME", file.as_os_str().as_encoded_bytes());
    }
    if !script.path_info.is_empty() {
        teller.tell("PATH_INFO", &script.path_info);
    }
    let Some(root) = &script.root else { return };
    let root = root.as_os_str().as_encoded_bytes();
    teller.tell("DOCUMENT_ROOT", root);
    if !script.path_info.is_empty() {
        let root = root.strip_suffix(b"/").unwrap_or(root);
        teller.tell("PATH_TRANSLATED", [root, &script.path_info].concat());
    }
}

/// Who asks: RFC 3875 §4.1.1, §4.1.8 to §4.1.11. No name is looked up: `REMOTE_HOST` is the
/// address, which §4.1.9 allows. Over a Unix-domain socket there is none.
fn client<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    if let Some(user) = call.user {
        teller.tell("AUTH_TYPE", "Basic");
        teller.tell("REMOTE_USER", user);
    }
    if let Some(client) = call.client {
        let address = client.ip().to_canonical().to_string();
        teller.tell("REMOTE_ADDR", &address);
        teller.tell("REMOTE_HOST", &address);
        teller.tell("REMOTE_PORT", client.port().to_string());
    }
}

/// The request's other fields: RFC 3875 §4.1.18. Several lines of a name become one variable.
fn fields<F: FnMut(&[u8], &[u8])>(call: &Call<'_>, teller: &mut Teller<'_, F>) {
    // The target's authority outranks Host (RFC 9112 §3.2.2); here, two names would contradict.
    if !call.head.authority.is_empty() {
        teller.tell("HTTP_HOST", call.head.authority);
    }
    let lines = call.head.fields.lines();
    for (at, line) in lines.iter().enumerate() {
        let is_told = lines[..at].iter().any(|before| before.name.eq_ignore_ascii_case(line.name));
        if is_told || !is_tellable(line.name, call.user.is_some()) {
            continue;
        }
        let name = format!("HTTP_{}", line.name.to_ascii_uppercase().replace('-', "_"));
        let values: Vec<&[u8]> = values(&call.head.fields, line.name).collect();
        let joint: &[u8] = if name == "HTTP_COOKIE" { b"; " } else { b", " };
        teller.tell(&name, values.join(joint));
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

/// The values of all lines named `name`, in any case.
fn values<'a>(fields: &Fields<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.lines().iter();
    lines.filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
}
