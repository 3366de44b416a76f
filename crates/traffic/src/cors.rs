//! Whether pages of other sites may call, and what their browsers are told (Fetch, "CORS protocol").
//! It is decided where routes are: at the proxy of the caller, which a browser has in a published
//! port or a gateway.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};

use leno_model::view::{Cors, HeaderChanges, Named, SiteMatch};
use leno_protocol::{Authority, Request};

use crate::matching::host_matches;

/// What a CORS filter says about one request.
#[derive(Clone, Copy, Debug)]
pub struct CrossOrigin<'a> {
    cors: &'a Cors,
    pub(crate) site: Site<'a>,
}

/// Whose page calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Site<'a> {
    /// Nobody says: it is no page of another site.
    Unsaid,
    /// One that may, and what its browser is told for it.
    Allowed(&'a str),
    /// One that may not.
    NotAllowed,
}

impl<'a> CrossOrigin<'a> {
    pub(crate) fn of(cors: &'a Cors, request: &Request<'a>) -> Self {
        let site = site(cors, request);
        Self { cors, site }
    }

    /// The filter in the object.
    pub(crate) fn origin(&self) -> &'a leno_model::Origin {
        &self.cors.origin
    }

    /// What the answer to the request says, whatever its server said of CORS.
    //= HTTPCORSFilter allowCredentials: "When set to false or omitted the gateway will omit the header
    //= `Access-Control-Allow-Credentials` entirely"
    pub fn answer(&self) -> HeaderChanges {
        let mut told = Told::default();
        self.tell_site(&mut told);
        told.into_changes(self.varies())
    }

    /// What the answer to a preflight says.
    pub(crate) fn preflight(&self, asked: &Asked<'_>) -> HeaderChanges {
        let mut told = Told::default();
        self.tell_site(&mut told);
        if let Site::Allowed(_) = self.site {
            //= HTTPCORSFilter allowMethods: "If the configuration contains the wildcard `*` in
            //= `allowMethods` and `allowCredentials` is set to `true`, the gateway must not return
            //= `*`"
            told.list(ALLOW_METHODS, &self.cors.methods, Some(asked.method));
            told.list(ALLOW_HEADERS, &self.cors.headers, asked.headers);
            let seconds = self.cors.max_age.as_secs();
            told.say(MAX_AGE, &format!("{seconds}"));
        }
        told.into_changes(self.varies())
    }

    fn tell_site(&self, told: &mut Told) {
        let Site::Allowed(site) = self.site else {
            return;
        };
        told.say(ALLOW_ORIGIN, site);
        if self.cors.credentials {
            told.say(ALLOW_CREDENTIALS, "true");
        }
        let all = (!self.cors.credentials).then_some("*");
        told.list(EXPOSE_HEADERS, &self.cors.exposed, all);
    }

    /// Whether another site would be told something else: then a cache must keep the answers apart.
    fn varies(&self) -> bool {
        self.cors.credentials || !is_for_all(self.cors)
    }
}

/// What a browser asks before it lets a page of another site call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The method of the call to come.
    pub(crate) method: &'a str,
    /// The names of its headers, as they are listed.
    pub(crate) headers: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// What the request asks, if it is a preflight: `OPTIONS` with the site and the method.
    pub(crate) fn of(request: &Request<'a>) -> Option<Self> {
        if request.method != "OPTIONS" {
            return None;
        }
        request.header(ORIGIN).next()?;
        let method = request.header(REQUEST_METHOD).next()?;
        let headers = request.header(REQUEST_HEADERS).next();
        Some(Self {
            method: text(method).filter(|method| is_token(method))?,
            headers: headers
                .and_then(text)
                .filter(|names| names.split(',').all(|name| is_token(name.trim()))),
        })
    }
}

fn site<'a>(cors: &'a Cors, request: &Request<'a>) -> Site<'a> {
    let mut origins = request.header(ORIGIN);
    let Some(origin) = origins.next() else {
        return Site::Unsaid;
    };
    if origins.next().is_some() {
        return Site::NotAllowed;
    }
    let for_all = is_for_all(cors);
    if for_all && !cors.credentials {
        return Site::Allowed("*");
    }
    // A page without a site of its own says `null`, which is never said back: anybody can say it.
    let site = text(origin).and_then(|text| Some((text, Origin::of(text)?)));
    match site {
        Some((text, origin)) if for_all || cors.sites.iter().any(|site| origin.is_at(site)) => {
            Site::Allowed(text)
        }
        Some(_) | None => Site::NotAllowed,
    }
}

fn is_for_all(cors: &Cors) -> bool {
    cors.sites.contains(&SiteMatch::Any)
}

/// A site, as browsers write it (RFC 6454 section 6.1).
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let Authority { host, port } = Authority::parse(authority.as_bytes()).ok()?;
        Some(Self { scheme, host, port })
    }

    fn is_at(&self, site: &SiteMatch) -> bool {
        let SiteMatch::At { secure, host, port } = site else {
            return true;
        };
        let (scheme, usual) = if *secure {
            ("https", 443)
        } else {
            ("http", 80)
        };
        self.scheme == scheme
            && self.port.unwrap_or(usual) == *port
            && host_matches(host, self.host)
    }
}

/// The headers that a browser is told, of which none comes from the server.
#[derive(Default)]
struct Told(Vec<(Arc<str>, Arc<str>)>);

impl Told {
    fn say(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    /// Says the names in a list, and for all of them what stands for all.
    fn list(&mut self, name: &'static str, named: &Named, all: Option<&str>) {
        match (named, all) {
            (Named::Any, Some(all)) => self.say(name, all),
            (Named::These(names), _) if !names.is_empty() => self.say(name, &names.join(", ")),
            (Named::Any, None) | (Named::These(_), _) => {}
        }
    }

    fn into_changes(self, varies: bool) -> HeaderChanges {
        let said = |name: &&str| self.0.iter().any(|(said, _)| **said == **name);
        let unsaid = ALL.into_iter().filter(|name| !said(name));
        HeaderChanges {
            remove: unsaid.map(Arc::from).collect(),
            add: if varies {
                [("vary".into(), "Origin".into())].into()
            } else {
                Vec::new()
            },
            set: self.0,
        }
    }
}

const ORIGIN: &str = "origin";
const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";

/// The headers of a request that a CORS filter reads.
pub(crate) const ASKED: [&str; 3] = [ORIGIN, REQUEST_METHOD, REQUEST_HEADERS];

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const ALLOW_METHODS: &str = "access-control-allow-methods";
const ALLOW_HEADERS: &str = "access-control-allow-headers";
const EXPOSE_HEADERS: &str = "access-control-expose-headers";
const MAX_AGE: &str = "access-control-max-age";

const ALL: [&str; 6] = [
    ALLOW_ORIGIN,
    ALLOW_CREDENTIALS,
    ALLOW_METHODS,
    ALLOW_HEADERS,
    EXPOSE_HEADERS,
    MAX_AGE,
];

/// What a request says of its site, as much of it as is worth repeating.
pub(crate) fn said(request: &Request<'_>) -> String {
    let said = request.header(ORIGIN).next().and_then(text);
    let said = said.unwrap_or("a site that cannot be read");
    said.get(..MOST_REPEATED).unwrap_or(said).to_owned()
}

/// In bytes.
const MOST_REPEATED: usize = 128;

fn text(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
