//! Who issues the tokens of a cluster's service accounts, and the keys that prove them.

use kube::Error;
use kube::client::Client;

use crate::cluster::Cluster;

/// Who issues a cluster's tokens, as its API server tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// What its tokens say of it (`iss`).
    pub name: String,
    /// Its public keys, a JWK Set.
    pub keys: Vec<u8>,
}

/// Why it is not known who issues a cluster's tokens.
#[derive(Debug, thiserror::Error)]
pub enum NoIssuer {
    /// The API server did not tell.
    #[error("the API server does not tell who issues its tokens: {0}")]
    NotTold(Box<Error>),
    /// What it tells names nobody.
    #[error("what the API server tells of who issues its tokens names no issuer")]
    Nobody,
}

/// What an issuer says of itself (OpenID Connect Discovery section 3), and where an API server has its keys, whatever
/// other address it tells those who are elsewhere.
const SAYS: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";

impl Cluster {
    /// Asks who issues the tokens of its service accounts.
    pub async fn issuer(&self) -> Result<Issuer, NoIssuer> {
        let says = get(&self.client, SAYS).await?;
        let says: serde_json::Value = serde_json::from_str(&says).map_err(|_| NoIssuer::Nobody)?;
        let name = says["issuer"].as_str().ok_or(NoIssuer::Nobody)?;
        let keys = get(&self.client, KEYS).await?;
        Ok(Issuer {
            name: name.to_owned(),
            keys: keys.into_bytes(),
        })
    }
}

async fn get(client: &Client, path: &str) -> Result<String, NoIssuer> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.expect("a constant that is a path");
    let told = client.request_text(request).await;
    told.map_err(|why| NoIssuer::NotTold(why.into()))
}
