//! A secrets engine `pki` of Vault, or of OpenBao, which speaks the same: it signs a request for an
//! intermediate. Two calls: log in, where that is how one gets a token, and sign.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use leno_channel::{Clock, files, words};
use leno_compile::{Login, Vault as Written};
use leno_fetch::{
    Answer, Ask, Bounds, Client, HeaderName, HeaderValue, NotFetched, Plain, Trusted, Url, Way,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asking, NotOffered, Offer, Outside, Wanted};

/// An engine, and how it is asked.
pub(super) struct Vault {
    written: Written,
    client: Client,
}

impl Vault {
    pub(super) fn new(written: Written, clock: Clock) -> Self {
        let roots = written.roots_file.as_deref();
        let way = Way {
            clock,
            trusted: roots.map_or(Trusted::Host, |file| Trusted::File(file.into())),
            plain: Plain::Loopback,
            shown: None,
        };
        Self {
            client: Client::new(way, BOUNDS),
            written,
        }
    }

    async fn offer(&self, wanted: Wanted) -> Result<Offer, NotOffered> {
        let token = self.token().await?;
        let request = files::request_text(&wanted.key.request());
        let domain = &wanted.domain;
        // That the engine goes by these and not by the request is its default.
        let asked = json!({
            "csr": request,
            "common_name": format!("leno intermediate of {domain}"),
            "exclude_cn_from_sans": true,
            "uri_sans": format!("spiffe://{domain}"),
            "max_path_length": 0,
            "ttl": format!("{}s", wanted.life.as_secs()),
            "format": "pem",
        });
        let path = format!("/v1/{}/root/sign-intermediate", self.written.mount);
        let signed: Signed = self.post(&path, Some(&token), &asked).await?;
        Ok(Offer {
            chain: signed.data.chain()?,
            key: wanted.key,
        })
    }

    /// The token to show.
    async fn token(&self) -> Result<HeaderValue, NotOffered> {
        let token = match &self.written.login {
            Login::Token(file) => secret(file)?,
            Login::Kubernetes {
                role,
                mount,
                token_file,
            } => {
                let asked = json!({"role": &**role, "jwt": secret(token_file)?});
                let path = format!("/v1/auth/{mount}/login");
                let answer: LoggedIn = self.post(&path, None, &asked).await?;
                answer.auth.client_token
            }
        };
        let unusable = |_| NotOffered::Unusable("its token is no text that can be sent".to_owned());
        let mut token = HeaderValue::from_str(&token).map_err(unusable)?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn post<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        token: Option<&HeaderValue>,
        asked: &Value,
    ) -> Result<T, NotOffered> {
        let url = Url::parse(&self.written.address).and_then(|url| url.under(path));
        let url = url.map_err(|why| NotOffered::Unusable(format!("its address: {why}")))?;
        let body = asked.to_string();
        let mut ask = Ask::post("application/json", body.as_bytes());
        if let Some(token) = token {
            ask = ask.header(HeaderName::from_static("x-vault-token"), token.clone());
        }
        let answer = self.client.ask(&url, ask).await.map_err(not_asked)?;
        if !(200..300).contains(&answer.status) {
            return Err(NotOffered::Refused(refusal(&answer, path, &self.written)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| {
            let why = format!(
                "it answered {} to {path}, and not as Vault does",
                answer.status
            );
            NotOffered::Refused(why)
        })
    }
}

impl Outside for Vault {
    fn ask(&self, wanted: Wanted) -> Asking<'_> {
        Box::pin(self.offer(wanted))
    }

    fn is_watched(&self) -> bool {
        false
    }
}

/// Less than a try to renew may take.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(8),
    body: 256 * 1024,
};

fn not_asked(why: NotFetched) -> NotOffered {
    match why {
        NotFetched::Unusable(why) => NotOffered::Unusable(why),
        NotFetched::Away(_)
        | NotFetched::Late(_)
        | NotFetched::Garbled(_)
        | NotFetched::TooLong { .. }
        | NotFetched::Refused { .. } => NotOffered::Refused(why.to_string()),
    }
}

/// `Vault answered 403: permission denied`, with what was shown to it.
fn refusal(answer: &Answer, path: &str, written: &Written) -> String {
    let said = serde_json::from_slice::<Errors>(&answer.body).unwrap_or_default();
    let said: String = said.errors.join("; ").chars().take(LONGEST).collect();
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = match &written.login {
        Login::Token(file) => format!("token of {file}"),
        Login::Kubernetes { role, .. } => format!("role {role:?}"),
    };
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    format!("Vault answered {} to {path} ({shown}){said}", answer.status)
}

/// Letters of what a server says that are told on.
const LONGEST: usize = 300;

/// What is in a file that holds a secret and nothing else.
fn secret(file: &str) -> Result<String, NotOffered> {
    let mut text = String::new();
    let read = File::open(file).and_then(|opened| {
        let longest = 64 * 1024;
        opened.take(longest).read_to_string(&mut text)
    });
    read.map_err(|why| NotOffered::Unusable(format!("{file} cannot be read: {}", words(&why))))?;
    match text.trim() {
        "" => Err(NotOffered::Unusable(format!("{file} is empty"))),
        secret => Ok(secret.to_owned()),
    }
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
}

#[derive(Deserialize)]
struct Signed {
    data: Certificates,
}

/// What was signed, each in PEM.
#[derive(Deserialize)]
struct Certificates {
    certificate: String,
    issuing_ca: String,
    /// The issuer and those above it, as far as the engine knows them.
    #[serde(default)]
    ca_chain: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Errors {
    errors: Vec<String>,
}

impl Certificates {
    /// What was signed and those above it, in DER.
    fn chain(&self) -> Result<Vec<Vec<u8>>, NotOffered> {
        let above = match self.ca_chain.as_slice() {
            [] => std::slice::from_ref(&self.issuing_ca),
            chain => chain,
        };
        let mut chain: Vec<Vec<u8>> = Vec::new();
        for text in std::iter::once(&self.certificate).chain(above) {
            let read = files::certificates_of(text.as_bytes());
            let read = read.ok_or_else(|| {
                NotOffered::Refused("it answered with what is no certificate".to_owned())
            })?;
            for certificate in read {
                if !chain.contains(&certificate) {
                    chain.push(certificate);
                }
            }
        }
        Ok(chain)
    }
}
