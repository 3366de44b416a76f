//! One question, one connection.

use std::time::Duration;

use tokio::time::timeout;

use crate::ask::{Answer, Ask};
use crate::{NotFetched, Open, Url, Way};

/// Asks questions one by one. A clone asks the same way.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    bounds: Bounds,
}

/// How much of a server's time and words is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// From the look-up of its name to the last byte of its answer.
    pub time: Duration,
    /// Bytes of an answer's content.
    pub body: usize,
}

impl Default for Bounds {
    /// Ten seconds, 1 MiB.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(10),
            body: 1024 * 1024,
        }
    }
}

impl Client {
    /// One that reaches servers by `way`.
    pub fn new(way: Way, bounds: Bounds) -> Self {
        Self { way, bounds }
    }

    /// Asks the server of `url`, and gives its answer, whatever its status.
    pub async fn ask(&self, url: &Url, ask: Ask<'_>) -> Result<Answer, NotFetched> {
        let asking = async {
            let stream = self.way.dial(url, b"http/1.1").await?;
            let (_, answer) = Open::over(stream).ask(url, &ask, self.bounds.body).await;
            answer
        };
        match timeout(self.bounds.time, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(NotFetched::Late(self.bounds.time)),
        }
    }

    /// What `url` holds: the content of a yes (2xx).
    pub async fn get(&self, url: &Url) -> Result<Answer, NotFetched> {
        self.ask(url, Ask::get()).await?.taken()
    }
}

#[cfg(test)]
mod tests {
    use leno_channel::Clocks;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{HeaderName, HeaderValue, Plain, Trusted};

    fn client(plain: Plain, time: Duration) -> Client {
        let way = Way {
            clock: Clocks::start().clock(),
            trusted: Trusted::Host,
            plain,
            shown: None,
        };
        Client::new(way, Bounds { time, body: 64 })
    }

    /// What a client gets that asks a server on loopback, and what that server was asked.
    async fn asked(client: &Client, ask: Ask<'_>, answer: &'static str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        });
        let url = Url::parse(&format!("http://{address}/keys?of=shop")).unwrap();
        let told = match client.ask(&url, ask).await {
            Ok(answer) => format!(
                "{} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            ),
            Err(why) => format!("{}: {why}", why.fault()),
        };
        let request = serving.await.unwrap();
        let request = request.replace(&address.to_string(), "HOST");
        (told, request.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
    }

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_question_is_asked_and_answered() {
        let client = client(Plain::Loopback, LONG);
        let (told, request) = asked(
            &client,
            Ask::get(),
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys",
        )
        .await;
        assert_eq!(told, "200 keys");
        assert_eq!(
            request,
            "GET /keys?of=shop HTTP/1.1\r\nhost: HOST\r\nuser-agent: leno/VERSION\r\n\r\n"
        );
        let post = Ask::post("application/json", b"{}").header(
            HeaderName::from_static("x-vault-token"),
            HeaderValue::from_static("s.7"),
        );
        let (told, request) = asked(&client, post, "HTTP/1.0 403 no\r\n\r\nnot you").await;
        assert_eq!(told, "403 not you");
        assert_eq!(
            request,
            "POST /keys?of=shop HTTP/1.1\r\nhost: HOST\r\nuser-agent: leno/VERSION\r\n\
             content-type: application/json\r\nx-vault-token: s.7\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_without_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let failed = client(Plain::Loopback, LONG).get(&url).await.unwrap_err();
        assert_eq!(failed, NotFetched::Late(LONG));
    }

    #[tokio::test]
    async fn what_is_plain_stays_where_it_may() {
        let check = async |plain, url: &str, expect: &str| {
            let url = Url::parse(url).unwrap();
            let failed = client(plain, LONG).get(&url).await.unwrap_err();
            assert_eq!(failed.to_string(), expect);
        };
        let never = "http:// is not taken here: say https://";
        check(Plain::Never, "http://127.0.0.1:1/", never).await;
        let beyond = "http:// is taken on loopback alone, and 192.0.2.7 is not there";
        check(Plain::Loopback, "http://192.0.2.7/", beyond).await;
    }
}
