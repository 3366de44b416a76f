//! OpenSSL believes our chains and speaks with us. Without its binary there is nothing to see.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use leno_channel::{Alpn, files, peer_name};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    files::folder,
    mesh::{HOUR, Mesh, NOW, told},
};

#[tokio::test]
async fn its_client_calls_us() {
    let mesh = Mesh::new("shop.local");
    let cart = mesh.process(&["cart"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let name = peer_name(&mesh.id("cart"));
    let papers = Papers::new(&mesh, "web", "openssl-client");
    let arguments = ["s_client", "-connect", &address, "-servername", &name];
    let Some(mut client) = papers.openssl(&arguments, &["-quiet", "-alpn", "h2"]) else {
        return;
    };
    let (stream, _) = listener.accept().await.unwrap();
    let mut accepted = cart.accept(stream).await.unwrap();
    assert_eq!(accepted.caller.id(), &mesh.id("web"));
    assert_eq!(accepted.own, mesh.id("cart"));

    client.say("ping");
    let mut heard = [0; 5];
    accepted.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping\n");
    accepted.stream.write_all(b"pong\n").await.unwrap();
    accepted.stream.flush().await.unwrap();
    assert_eq!(client.hear(), "pong");
}

#[tokio::test]
async fn its_server_answers_us() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let papers = Papers::new(&mesh, "cart", "openssl-server");
    let arguments = ["s_server", "-accept", "127.0.0.1:0", "-Verify", "3"];
    let Some(mut server) = papers.openssl(&arguments, &["-rev", "-alpn", "h2"]) else {
        return;
    };
    let address = server.hear_after("ACCEPT ");
    let stream = TcpStream::connect(address).await.unwrap();
    let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
    let mut connected = web
        .connect(stream, &own, &expected, &[Alpn::Hbone])
        .await
        .unwrap();
    assert_eq!(connected.peer.id(), &mesh.id("cart"));
    connected.stream.write_all(b"leno\n").await.unwrap();
    connected.stream.flush().await.unwrap();
    let mut heard = [0; 5];
    connected.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"onel\n");
}

#[tokio::test]
async fn its_client_of_tls_1_2_is_refused() {
    let mesh = Mesh::new("shop.local");
    let cart = mesh.process(&["cart"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let papers = Papers::new(&mesh, "web", "openssl-old");
    let arguments = ["s_client", "-connect", &address, "-tls1_2"];
    let Some(_client) = papers.openssl(&arguments, &["-quiet", "-alpn", "h2"]) else {
        return;
    };
    let (stream, _) = listener.accept().await.unwrap();
    let told = told(cart.accept(stream).await);
    assert!(told.contains("T011"), "{told}");
    assert!(told.contains("TLS failed: peer is incompatible"), "{told}");
}

/// What OpenSSL reads: a credential, and the root to judge us by.
struct Papers(PathBuf);

impl Papers {
    fn new(mesh: &Mesh, account: &str, name: &str) -> Self {
        let folder = folder(name);
        let credential = mesh.credential(account, HOUR);
        files::write_key(&folder.join("key.pem"), credential.key()).unwrap();
        files::write_certificates(&folder.join("chain.pem"), credential.chain()).unwrap();
        files::write_certificates(&folder.join("root.pem"), &[mesh.root().to_vec()]).unwrap();
        Self(folder)
    }

    /// Starts OpenSSL at the mesh's time, strict about our certificate; `None` if it is not installed.
    fn openssl(&self, arguments: &[&str], more: &[&str]) -> Option<Openssl> {
        let (now, started) = (NOW.to_string(), Command::new("openssl"));
        let mut command = started;
        command
            .current_dir(&self.0)
            .args(arguments)
            .args(["-key", "key.pem", "-cert", "chain.pem", "-cert_chain"])
            .args(["chain.pem", "-CAfile", "root.pem", "-no-CApath"])
            .args(["-verify_return_error", "-attime", &now])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        match command.spawn() {
            Ok(child) => Some(Openssl::new(child)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A running OpenSSL, ended with the test.
struct Openssl {
    child: Child,
    heard: BufReader<std::process::ChildStdout>,
}

impl Openssl {
    fn new(mut child: Child) -> Self {
        let heard = BufReader::new(child.stdout.take().unwrap());
        Self { child, heard }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.heard.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What follows `prefix` on the first line that begins with it.
    fn hear_after(&mut self, prefix: &str) -> String {
        loop {
            let line = self.hear();
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
