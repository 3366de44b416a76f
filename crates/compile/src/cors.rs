//! What a `CORS` filter means: the sites whose pages may call, and what their browsers are told.

use alloc::{format, string::ToString, sync::Arc};
use core::time::Duration;

use leno_model::view::{Cors, HostMatch, Named, SiteMatch};
use leno_model::{Code, Notes};
use leno_resources::gateway::{CorsMethod, HttpCorsFilter};
use leno_resources::{List, Outline};

use crate::finding::{self, Complete};

/// What the filter at `pointer` means; nothing if one of its items was not understood.
pub(crate) fn cors(
    route: Outline<'_>,
    pointer: &str,
    written: &HttpCorsFilter,
    notes: &mut Notes,
) -> Option<Cors> {
    let credentials = written.allow_credentials == Some(true);
    let sites = written.allow_origins.sound()?;
    let methods = written.allow_methods.sound()?;
    let exposed = named(&written.expose_headers)?;
    //= HTTPCORSFilter exposeHeaders: "If the configuration contains the wildcard `*` in
    //= `exposeHeaders` and `allowCredentials` is set to `true`, the gateway cannot use the `*`"
    if credentials && exposed == Named::Any {
        let message = "with allowCredentials, a browser takes * for the name of a header";
        let pointer = format!("{pointer}/exposeHeaders");
        notes.push(
            finding::warning(route, &pointer, Code::C115, message.to_string())
                .suggest(Some("name the headers".to_string()))
                .in_force("pages read the headers that every page may read"),
        );
    }
    Some(Cors {
        origin: route.origin(pointer),
        sites: sites.into_iter().filter_map(|text| site(text)).collect(),
        credentials,
        methods: if methods.contains(&&CorsMethod::Any) {
            Named::Any
        } else {
            let methods = methods.iter().map(|method| method.as_str().into());
            Named::These(methods.collect())
        },
        headers: named(&written.allow_headers)?,
        exposed,
        max_age: Duration::from_secs(written.max_age.into()),
    })
}

fn named(written: &List<Arc<str>>) -> Option<Named> {
    let names = written.sound()?;
    Some(if names.iter().any(|name| &***name == "*") {
        Named::Any
    } else {
        Named::These(names.into_iter().cloned().collect())
    })
}

/// The sites that a text means whose form was checked when it was read; a port that is no port
/// means none.
fn site(text: &str) -> Option<SiteMatch> {
    if text == "*" {
        return Some(SiteMatch::Any);
    }
    let (scheme, rest) = text.split_once("://")?;
    let secure = scheme == "https";
    let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
    Some(SiteMatch::At {
        secure,
        //= HTTPCORSFilter allowOrigins: "`*` is a greedy match to the _left_, including any number of
        //= DNS labels to the left of its position."
        host: match host.strip_prefix('*') {
            Some("") => HostMatch::Any,
            Some(suffix) => HostMatch::Suffix(suffix.to_ascii_lowercase().into()),
            None => HostMatch::Exact(host.to_ascii_lowercase().into()),
        },
        //= HTTPCORSFilter allowOrigins: "if not included, port `80` is assumed for `http` scheme
        //= origins, and port `443` is assumed for `https` origins."
        port: match (port, secure) {
            ("", true) => 443,
            ("", false) => 80,
            (port, _) => port.parse().ok()?,
        },
    })
}
