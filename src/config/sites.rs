//! What `[[site]]` means, and what holds where it is silent. What its routes mean is for `routes`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::Fault;
use super::meaning::Site;
use super::routes;
use super::said::{self, Pairs, Several, in_order};
use super::source::Source;
use crate::http::negotiation::Coding;
use crate::http::status::Status;

/// What stands for its directory if nothing is said.
const DEFAULT_INDEX: &str = "index.html";

/// What the sites mean.
///
/// # Errors
/// At the first thing that has no meaning.
pub(super) fn sites(said: &[Spanned<said::Site>], source: &Source) -> Result<Vec<Site>, Fault> {
    if said.is_empty() {
        let fault = Fault::at(0..0, "there is no site, so there is nothing to serve");
        return Err(fault.help("add [[site]] and root = \"/srv/www\""));
    }
    // Each host, or None for the site without one, and where it was said.
    let mut taken: HashMap<Option<String>, usize> = HashMap::new();
    let mut sites = Vec::new();
    for site in said {
        let names = &site.get_ref().host.0;
        let mut hosts = Vec::new();
        for name in names {
            let host = host(name)?;
            if let Some(before) = taken.insert(Some(host.clone()), name.span().start) {
                let what = format!("`{host}` has a site already");
                return Err(Fault::new(name, what).help(elsewhere(source, before)));
            }
            hosts.push(host);
        }
        if names.is_empty()
            && let Some(before) = taken.insert(None, site.span().start)
        {
            let fault = Fault::new(site, "a second site without `host` can never answer");
            return Err(fault.help(elsewhere(source, before)));
        }
        sites.push(meaning(site, hosts, source)?);
    }
    Ok(sites)
}

fn elsewhere(source: &Source, at: usize) -> String {
    source.place(&(at..at)).map_or_else(String::new, |place| format!("see line {}", place.line))
}

fn meaning(said: &Spanned<said::Site>, hosts: Vec<String>, source: &Source) -> Result<Site, Fault> {
    let site = said.get_ref();
    let root = site.root.as_ref().map(|root| directory(root, source)).transpose()?;
    let default = || Ok(vec![DEFAULT_INDEX.to_owned()]);
    let index = site.index.as_ref().map_or_else(default, index)?;
    let context = Context { root: root.as_ref(), index: &index, source };
    Ok(Site {
        hosts,
        errors: errors(&site.errors)?,
        precompressed: precompressed(&site.precompressed)?,
        routes: routes::routes(&site.route, &context)?,
        place: source.place(&said.span()),
        root,
        index,
    })
}

/// What a site says that its routes have to know.
pub(super) struct Context<'a> {
    /// The directory of its files.
    pub(super) root: Option<&'a PathBuf>,
    /// Names of files that stand for their directory.
    pub(super) index: &'a [String],
    /// Where it was said.
    pub(super) source: &'a Source,
}

/// The directory that `said` names; it is there, and we may look into it.
pub(super) fn directory(said: &Spanned<String>, source: &Source) -> Result<PathBuf, Fault> {
    if said.get_ref().is_empty() {
        return Err(Fault::new(said, "the directory's name is missing"));
    }
    let path = source.path(said.get_ref());
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => {
            let fault = Fault::new(said, format!("{} is not a directory", path.display()));
            let parent = path.parent().unwrap_or(Path::new("/"));
            Err(fault.help(format!("did you mean {}?", parent.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Fault::new(said, format!("there is no directory {}", path.display())))
        }
        Err(error) => Err(Fault::new(said, format!("cannot look at {}: {error}", path.display()))),
    }
}

/// The names of files that stand for their directory.
pub(super) fn index(said: &Several<Spanned<String>>) -> Result<Vec<String>, Fault> {
    said.0.iter().map(file_name).collect()
}

/// The name of a file, without a path.
pub(super) fn file_name(said: &Spanned<String>) -> Result<String, Fault> {
    match said.get_ref().as_str() {
        other if matches!(other, "" | "." | "..") || other.contains('/') => {
            Err(Fault::new(said, format!("`{other}` is not the name of a file")))
        }
        plain => Ok(plain.to_owned()),
    }
}

/// Pages for statuses.
pub(super) fn errors(said: &Pairs) -> Result<BTreeMap<String, String>, Fault> {
    let mut errors = BTreeMap::new();
    for (key, page) in in_order(said) {
        if !is_error(key.get_ref()) {
            let fault =
                Fault::new(key, format!("`{}` is not the status of an error", key.get_ref()));
            return Err(fault.help("write 400 to 599 for one, 4xx or 5xx for all of a kind"));
        }
        errors.insert(key.get_ref().clone(), page_path(page)?);
    }
    Ok(errors)
}

fn is_error(key: &str) -> bool {
    let code = key.parse().ok().filter(|_| key.len() == 3).and_then(Status::from_code);
    matches!(key, "4xx" | "5xx") || code.is_some_and(Status::is_error)
}

/// The path of a page of the same site.
pub(super) fn page_path(said: &Spanned<String>) -> Result<String, Fault> {
    let path = said.get_ref();
    if path.starts_with('/') && !path.starts_with("//") {
        return Ok(path.clone());
    }
    let fault = Fault::new(said, format!("`{path}` is not a path of this site"));
    Err(fault.help(format!("did you mean `/{}`?", path.trim_start_matches('/'))))
}

fn precompressed(said: &Several<Spanned<String>>) -> Result<Vec<Coding>, Fault> {
    let mut codings = Vec::new();
    for name in &said.0 {
        let coding = match name.get_ref().as_str() {
            "br" => Coding::Br,
            "zst" => Coding::Zstd,
            "gz" => Coding::Gzip,
            _ => {
                let known = ["br", "zst", "gz"];
                return Err(Fault::not_one_of(name, "the ending of a compressed file", &known));
            }
        };
        if codings.contains(&coding) {
            return Err(Fault::new(name, "this coding stands here for the second time"));
        }
        codings.push(coding);
    }
    Ok(codings)
}

/// A host's name, in lower case and without the dot that may end it.
fn host(said: &Spanned<String>) -> Result<String, Fault> {
    let name = said.get_ref().strip_suffix('.').unwrap_or(said.get_ref()).to_ascii_lowercase();
    let bad = |what: &str| Err(Fault::new(said, format!("`{}` {what}", said.get_ref())));
    if name.starts_with('[') && name.ends_with(']') {
        return match name[1..name.len() - 1].parse::<Ipv6Addr>() {
            Ok(_) => Ok(name),
            Err(_) => bad("is not an IPv6 address"),
        };
    }
    if name.contains("://") || name.contains('/') {
        return bad("is more than a host\nwrite only the name, like `example.com`");
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        return bad("is an IPv6 address\nit stands in brackets, as in a URL");
    }
    if let Some((bare, _)) = name.split_once(':') {
        return bad(&format!("names a port\na site answers on all ports: write `{bare}`"));
    }
    if !name.is_ascii() {
        return bad("is not ASCII\nwrite the form that clients send, `xn--…`");
    }
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    if labels.contains('*') {
        return bad("has a star in the wrong place\nwrite it like `*.example.com`");
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if labels.split('.').all(is_label) { Ok(name) } else { bad("is not a host's name") }
}
