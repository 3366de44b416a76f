//! Joining by a token of somebody else, whose keys a server of its own publishes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leno_channel::generate_key;
use leno_e2e::{Process, World, until};
use leno_jwt::{Claims, Signer, Value};

use crate::control::{Control, workload};

/// A CI system: a web server that publishes its keys.
struct Issuer {
    url: String,
    world: World,
    _server: Process,
}

impl Issuer {
    fn start(signer: &Signer) -> Self {
        let world = World::new("");
        let at = world.at("issuer", 8080);
        let url = format!("http://{at}");
        let issuer_folder = world.folder().join("issuer");
        let known = issuer_folder.join(".well-known");
        fs::create_dir_all(&known).unwrap();
        let about = format!(r#"{{"issuer":"{url}","jwks_uri":"{url}/keys"}}"#);
        fs::write(known.join("openid-configuration"), about).unwrap();
        publish(&issuer_folder, signer);
        let mut command = Command::new("python3");
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        command.args(["-m", "http.server", "--bind", &ip, &port, "--directory"]);
        let server = world.process("issuer-log", command.arg(&issuer_folder));
        until("the issuer", || std::net::TcpStream::connect(at).ok());
        Self {
            url,
            world,
            _server: server,
        }
    }

    fn publish(&self, signer: &Signer) {
        publish(&self.world.folder().join("issuer"), signer);
    }

    /// A token for the mesh that says this beside.
    fn token(&self, signer: &Signer, audience: &str, ends_in: i64, says: &str) -> String {
        let end = i64::try_from(now().as_secs()).unwrap() + ends_in;
        let url = &self.url;
        let claims = format!(r#"{{"iss":"{url}","aud":"{audience}","exp":{end},{says}}}"#);
        signer.sign(&Claims::read(claims.as_bytes()).unwrap())
    }
}

fn publish(folder: &Path, signer: &Signer) {
    let jwk: Value = signer.jwk("sig");
    fs::write(folder.join("keys"), format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes judge by real time"
)]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn signer() -> Signer {
    Signer::new(generate_key().secret()).unwrap()
}

#[test]
fn a_job_of_a_ci_system_joins_as_whom_its_token_makes_it() {
    let key = signer();
    let issuer = Issuer::start(&key);
    let mesh = format!(
        "{{tokenIssuers: [{{name: ci, issuer: \"{}\", audiences: [leno]}}]}}",
        issuer.url
    );
    let claims = "{name: project, values: [shop/cart]}, {name: ref, values: [main, release]}";
    let objects = workload(
        "cart",
        &format!("{{tokens: [{{issuer: ci, claims: [{claims}]}}]}}"),
    );
    let control = Control::start(&[], &mesh, &objects);
    let listed = control.ask(&["token", "list"]);
    let address = listed
        .split(' ')
        .find(|word| word.starts_with("leno-mesh:"));
    let address = address.unwrap().to_owned();

    let join = |token: &str| {
        fs::write(control.path("token"), token).unwrap();
        let told = control.told(&[
            "join",
            &address,
            "--oidc-token",
            "token",
            "--state",
            "state",
        ]);
        told.out
    };
    // Its keys are asked for once the mesh names it.
    let until_told = |token: &str| {
        until("a word", || {
            let told = join(token);
            (!told.contains("T022")).then_some(told)
        })
    };
    let main = r#""sub":"job 7","project":"shop/cart","ref":"main""#;
    let joined = until_told(&issuer.token(&key, "leno", 300, main));
    assert!(
        joined.contains("spiffe://shop.local/ns/shop/sa/cart"),
        "{joined}"
    );
    control
        .process
        .until_says(&["joined from", "a token of", "about \"job 7\""]);

    let fork = r#""sub":"job 8","project":"fork/cart","ref":"main""#;
    let stranger = signer();
    for (token, why) in [
        (
            issuer.token(&key, "leno", 300, fork),
            "no MeshWorkload takes a token of ci",
        ),
        (
            issuer.token(&key, "vault", 300, main),
            "meant for somebody else",
        ),
        (issuer.token(&key, "leno", -300, main), "the token ended"),
        ("a.b.c".to_owned(), "the token is malformed"),
    ] {
        let told = join(&token);
        assert!(told.contains("T021 not-attested"), "{told}");
        assert!(told.contains(why), "{why}: {told}");
    }
    // A key that nobody publishes is looked for, and proves nothing.
    let forged = join(&issuer.token(&stranger, "leno", 300, main));
    assert!(forged.contains("T022 issuer-keys-missing"), "{forged}");

    // One that replaces the other is found when it is first used.
    issuer.publish(&stranger);
    let joined = until_told(&issuer.token(&stranger, "leno", 300, main));
    assert!(
        joined.contains("spiffe://shop.local/ns/shop/sa/cart"),
        "{joined}"
    );
}
