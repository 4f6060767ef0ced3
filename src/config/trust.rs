//! What is said of those who speak for others means: load balancers that send a PROXY header, and
//! proxies that name the client of each request.

use toml::Spanned;

use super::address;
use super::error::Fault;
use super::routes::network;
use super::said::{Listen, Server, Several, Short};
use super::source::Source;
use crate::http::forwarded::ForwardedField;
use crate::server::listener::Address;
use crate::server::trust::{Known, Trust};

/// Whoever comes through a Unix-domain socket.
const UNIX: &str = "unix";

/// Whom the server believes.
///
/// # Errors
/// At the first entry that has no meaning.
pub(super) fn trust(said: &Server, source: &Source) -> Result<Trust, Fault> {
    let mut senders: Vec<(Address, Known)> = Vec::new();
    let mut seen = Vec::new();
    for Short(Listen { addr, proxy_protocol }) in &said.listen.0 {
        let address =
            address::parse(addr.get_ref(), source).map_err(|what| Fault::new(addr, what))?;
        // Of two that both get any free port, nobody could say which one is meant.
        let is_vague = seen.contains(&address)
            && (proxy_protocol.is_some() || senders.iter().any(|(at, _)| *at == address));
        if is_vague {
            return Err(Fault::new(addr, "this address stands here for the second time"));
        }
        if let Some(said) = proxy_protocol {
            senders.push((address.clone(), known(said)?));
            check_kind(&address, said)?;
        }
        seen.push(address);
    }
    let forwarders = said.trusted_forwarders.as_ref().map(known).transpose()?;
    Ok(Trust { senders, forwarders, field: field(said)? })
}

/// Networks, and `unix`.
fn known(said: &Spanned<Several<Spanned<String>>>) -> Result<Known, Fault> {
    let mut known = Known::default();
    for entry in &said.get_ref().0 {
        if entry.get_ref() == UNIX {
            known.unix = true;
        } else {
            known.networks.push(network(entry)?);
        }
    }
    if known == Known::default() {
        return Err(Fault::new(said, "this names nobody\nleave it out, then nobody is believed"));
    }
    Ok(known)
}

/// Whether those who are named can come there at all.
fn check_kind(address: &Address, said: &Spanned<Several<Spanned<String>>>) -> Result<(), Fault> {
    let is_path = matches!(address, Address::Unix(_));
    match said.get_ref().0.iter().find(|entry| (entry.get_ref() == UNIX) != is_path) {
        Some(entry) if is_path => {
            let what = "over a Unix-domain socket nobody has an address\nwrite it like `unix`";
            Err(Fault::new(entry, what))
        }
        Some(entry) => {
            let what = "nobody comes to an IP address by a Unix-domain socket\n\
                        write it like `10.0.0.0/8`";
            Err(Fault::new(entry, what))
        }
        None => Ok(()),
    }
}

fn field(said: &Server) -> Result<ForwardedField, Fault> {
    let Some(field) = &said.forwarded_field else { return Ok(ForwardedField::default()) };
    let all = [ForwardedField::XForwardedFor, ForwardedField::Forwarded];
    let is_meant = |known: &ForwardedField| known.name().eq_ignore_ascii_case(field.get_ref());
    all.into_iter().find(is_meant).ok_or_else(|| {
        let what = "a field that says whom a request is from";
        Fault::not_one_of(field, what, &all.map(ForwardedField::name))
    })
}
