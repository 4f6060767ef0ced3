//! Quick mode: the flags of the command line, said as a configuration file would say them. From
//! there on the two go the same way.

use std::net::SocketAddr;

use toml::Spanned;

use super::command_line::{Bind, LogFlag, Quick, Serve, SymlinksFlag};
use super::said::{
    AccessLog, Cgi, Files, Listen, Log, Proxy, Route, Said, Server, Several, Short, Site,
};

/// The page that a single-page application is.
const SPA_PAGE: &str = "/index.html";

/// Where the inspector is, unless another program is there.
const INSPECTOR_PORT: u16 = 9090;

/// What the flags say.
///
/// # Errors
/// When the directory's name is not UTF-8.
pub(super) fn said(serve: &Serve) -> Result<Said, String> {
    let Quick { directory, .. } = &serve.quick;
    let root = directory
        .to_str()
        .ok_or_else(|| format!("the name of {} is not UTF-8", directory.display()))?;
    let site = Site {
        root: Some(word(root)),
        index: Some(Several(serve.quick.index.iter().map(|name| word(name)).collect())),
        route: routes(&serve.quick, root).into_iter().map(unplaced).collect(),
        ..Site::default()
    };
    let listen = serve
        .quick
        .bind
        .iter()
        .map(|bind| Short(Listen::from(word(&address(bind, serve.quick.port)))));
    Ok(Said {
        server: Server {
            listen: Several(listen.collect()),
            admin: admin(serve),
            ..Server::default()
        },
        log: log(serve),
        site: vec![unplaced(site)],
        ..Said::default()
    })
}

/// The route for every path, and those of programs. What is said of fields holds for all of them.
fn routes(quick: &Quick, root: &str) -> Vec<Route> {
    let symlinks = match quick.symlinks {
        SymlinksFlag::Deny => "deny",
        SymlinksFlag::Inside => "inside",
        SymlinksFlag::Follow => "follow",
    };
    let files = Files {
        listing: Some(!quick.no_listing),
        symlinks: Some(word(symlinks)),
        dotfiles: Some(quick.dotfiles),
        ..Files::default()
    };
    let fields = quick.header.iter().map(|(name, value)| (word(name), word(value)));
    let mut routes = vec![Route {
        files: Some(unplaced(files)),
        fields: fields.collect(),
        fallback: quick.spa.then(|| word(SPA_PAGE)),
        ..Route::default()
    }];
    let cgi = quick.cgi.iter().map(|pattern| Route {
        path: Some(word(pattern)),
        cgi: Some(unplaced(cgi(pattern, root))),
        ..Route::default()
    });
    let proxies = quick.proxy.iter().map(|(prefix, url)| Route {
        path: Some(word(&format!("{prefix}/*"))),
        proxy: Some(unplaced(Proxy { to: Several(vec![word(url)]), ..Proxy::default() })),
        ..Route::default()
    });
    for route in cgi.chain(proxies) {
        let is_everywhere = route.path.as_ref().is_some_and(|path| path.get_ref() == "/*");
        if is_everywhere && routes[0].files.is_some() {
            // It takes the place of the files.
            let Route { cgi, proxy, .. } = route;
            let everywhere = std::mem::take(&mut routes[0]);
            routes[0] = Route { files: None, cgi, proxy, ..everywhere };
        } else {
            routes.push(route);
        }
    }
    routes
}

/// The programs that a pattern names in the directory `root`: `*.cgi` is every such file,
/// `/cgi-bin/*` all files of that directory, `/hello.py` is one file.
fn cgi(pattern: &str, root: &str) -> Cgi {
    match pattern.split_once('*') {
        Some((before, _)) => Cgi { root: Some(word(&format!("{root}{before}"))), ..Cgi::default() },
        None => Cgi { program: Some(word(&format!("{root}{pattern}"))), ..Cgi::default() },
    }
}

fn log(serve: &Serve) -> Log {
    let (to, format) = match serve.quick.log {
        None if serve.quiet => ("none", "combined"),
        None | Some(LogFlag::Combined) => ("stdout", "combined"),
        Some(LogFlag::Json) => ("stdout", "json"),
        Some(LogFlag::None) => ("none", "combined"),
    };
    Log { access: AccessLog { to: Some(word(to)), format: Some(word(format)) }, ..Log::default() }
}

/// Where the inspector is, if there is to be one: the port is the first that is tried.
fn admin(serve: &Serve) -> Option<Spanned<String>> {
    let port = if serve.quick.port == INSPECTOR_PORT { INSPECTOR_PORT + 1 } else { INSPECTOR_PORT };
    (serve.quick.inspect || serve.step).then(|| word(&format!("127.0.0.1:{port}")))
}

fn address(bind: &Bind, port: u16) -> String {
    match bind {
        Bind::Ip(address) => SocketAddr::new(*address, port).to_string(),
        Bind::Socket(address) => address.to_string(),
        Bind::Unix(path) => format!("unix:{path}"),
    }
}

fn word(text: &str) -> Spanned<String> {
    unplaced(text.to_owned())
}

/// Flags stand in no file.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
