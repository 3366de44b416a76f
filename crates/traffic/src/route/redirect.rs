//! Where a redirect sends the caller, as text.

use core::fmt;

use leno_model::view::Redirect;
use leno_protocol::{NewPath, Request};

/// The value of a `Location` header.
pub(crate) struct Location<'a> {
    scheme: &'a str,
    host: &'a str,
    /// `None` where the scheme says it.
    port: Option<u16>,
    /// `None` where the path stays.
    path: Option<NewPath<'a>>,
    asked: &'a str,
    query: Option<&'a str>,
}

impl<'a> Location<'a> {
    /// Where `redirect` sends `request`, which was made to `called`, a port that speaks HTTP.
    pub(crate) fn new(
        redirect: &'a Redirect,
        called: u16,
        request: &Request<'a>,
        new_path: impl FnOnce(&'a str) -> Option<NewPath<'a>>,
    ) -> Self {
        let scheme = redirect.scheme.as_deref().unwrap_or("http");
        let own = well_known(scheme);
        //= RequestRedirect port: "If redirect scheme is not-empty, the redirect port MUST be the
        //= well-known port associated with the redirect scheme."
        let implied = match &redirect.scheme {
            Some(_) => own,
            None => None,
        };
        //= RequestRedirect port: "If redirect scheme is empty, the redirect port MUST be the Gateway
        //= Listener port."
        let port = redirect.port.or(implied).unwrap_or(called);
        let asked = request.path.raw();
        Self {
            scheme,
            host: redirect.host.as_deref().unwrap_or(request.host),
            //= RequestRedirect port: "Implementations SHOULD NOT add the port number in the 'Location'
            //= header in the following cases"
            port: (Some(port) != own).then_some(port),
            path: new_path(asked),
            asked,
            query: request.query,
        }
    }
}

fn well_known(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match &self.path {
            Some(path) => write!(f, "{path}")?,
            None if self.asked.starts_with('/') => f.write_str(self.asked)?,
            None => f.write_str("/")?,
        }
        if let Some(query) = self.query {
            write!(f, "?{query}")?;
        }
        Ok(())
    }
}
