//! Authorities outside that sign what signs: files that somebody replaces, and a Vault.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leno_admin::{Check, RenewCertificate, RootStage, Trust, TrustOf};
use leno_channel::{Alpn, files, generate_key};
use leno_control::Event;
use leno_identity::{PublicKey, Root};
use leno_model::{Dice, SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::world::{Place, Proxy, SHOP, World, within};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A root of a company.
fn company() -> Root {
    let domain = TrustDomain::new("shop.local").unwrap();
    let (now, mut dice) = (leno_channel::wall(), Dice::new(rand()));
    Root::establish(&domain, generate_key(), 365 * DAY, now, &mut dice).unwrap()
}

fn rand() -> u64 {
    let key = generate_key().public().der();
    u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap())
}

/// Puts an intermediate under `root` into files.
fn lay(place: &Place, root: &Root) -> [PathBuf; 2] {
    let [chain, key_file] = ["chain.pem", "key.pem"].map(|name| place.path(name));
    let key = generate_key();
    let (now, mut dice) = (leno_channel::wall(), Dice::new(rand()));
    let signed = root.sign_intermediate(&key.public(), 30 * DAY, now, &mut dice);
    files::write_key(&key_file, &key).unwrap();
    let above = root.certificate().to_vec();
    files::write_certificates(&chain, &[signed.unwrap(), above]).unwrap();
    [chain, key_file]
}

/// The shop with another `Mesh.spec`.
fn shop(spec: &str) -> String {
    SHOP.replacen(
        "metadata: {name: shop}\n",
        &format!("metadata: {{name: shop}}\nspec: {spec}\n"),
        1,
    )
}

fn of_files([chain, key]: &[PathBuf; 2]) -> String {
    let (chain, key) = (chain.display(), key.display());
    shop(&format!(
        "{{ca: {{files: {{chain: {chain}, key: {key}}}}}}}"
    ))
}

async fn trust(world: &World) -> Trust {
    world.admin.ask(TrustOf {}).await.unwrap()
}

/// Waits until what signs came from `source`, and no other root is to sign.
async fn until_signs(world: &World, source: Option<&str>) -> Trust {
    within(async {
        loop {
            if let Ok(trust) = world.admin.ask(TrustOf {}).await {
                let came = trust.intermediate_source.as_deref();
                let is_it = match (came, source) {
                    (Some(came), Some(source)) => came.starts_with(source),
                    (came, source) => came == source,
                };
                let announced = |root: &leno_admin::RootState| root.stage == RootStage::Announced;
                let is_well = trust.failing_ca.is_none();
                if is_it && is_well && !trust.roots.iter().any(announced) {
                    return trust;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Waits for a finding that begins like this, and gives it.
async fn until_found(world: &World, code: &str, part: &str) -> String {
    within(async {
        loop {
            let findings = world.admin.ask(Check {}).await.unwrap().findings;
            let is_it = |one: &&leno_admin::Finding| one.code == code && one.message.contains(part);
            if let Some(found) = findings.iter().find(is_it) {
                return format!("{} In force: {}.", found.message, found.in_force);
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

fn id(account: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{account}")).unwrap()
}

/// Two proxies that meet again and again; how often that failed.
struct Meeting {
    task: JoinHandle<Result<(), String>>,
    met: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
}

impl Meeting {
    fn of(web: &Proxy, cart: &Proxy) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let met = Arc::new(AtomicU32::new(0));
        let (over, count, web, cart) = (
            Arc::clone(&is_over),
            Arc::clone(&met),
            web.keyring.clone(),
            cart.keyring.clone(),
        );
        let task = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let (near, far) = duplex(16 * 1024);
                let (own, expected) = (id("web"), [id("cart")]);
                let (connected, accepted) = tokio::join!(
                    web.connect(near, &own, &expected, &Alpn::ALL),
                    cart.accept(far)
                );
                connected.map_err(|failure| failure.to_string())?;
                accepted.map_err(|failure| failure.to_string())?;
                count.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        });
        Self { task, met, is_over }
    }

    /// Lets them meet ten times more, and none of all these may have failed.
    async fn end(self) {
        let before = self.met.load(Ordering::Relaxed);
        while self.met.load(Ordering::Relaxed) < before + 10 && !self.task.is_finished() {
            sleep(Duration::from_millis(5)).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.unwrap(), Ok(()));
    }
}

async fn renew(world: &World, account: &str) {
    let ask = RenewCertificate {
        identity: format!("shop/{account}"),
        dry_run: false,
    };
    let renewed = world.admin.ask(ask).await.unwrap();
    assert_eq!(renewed.proxies[0].failed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_takes_over_and_hands_back_and_no_handshake_fails() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    for proxy in [&mut web, &mut cart] {
        proxy.view(|view| view.workloads.len() == 1).await;
    }
    let own = trust(&world).await.root;
    let meeting = Meeting::of(&web, &cart);

    let (ours, theirs) = (company(), company());
    let at = lay(&world.place, &ours);
    world.apply(&of_files(&at)).await;
    let told = until_signs(&world, Some("files")).await;
    assert_ne!(told.root, own);
    assert_eq!(
        told.next_root, None,
        "nobody here knows when they replace it"
    );
    renew(&world, "web").await;
    renew(&world, "cart").await;

    // Somebody replaces the files by those of another root.
    lay(&world.place, &theirs);
    within(async {
        while trust(&world).await.root == told.root {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    renew(&world, "cart").await;

    // What cannot be used changes nothing, and is said.
    let signs = trust(&world).await.root;
    files::write_key(&at[1], &generate_key()).unwrap();
    let expect = "the key is not that of the certificate";
    let found = until_found(&world, "T018", expect).await;
    let in_force = "In force: the valid certificates; no call has failed.";
    assert!(
        found.starts_with("Ends in 29 d 23 h. files ") && found.ends_with(in_force),
        "{found}"
    );
    fs::remove_file(&at[0]).unwrap();
    until_found(&world, "T018", "chain.pem cannot be read").await;
    renew(&world, "web").await;
    assert_eq!(trust(&world).await.root, signs);

    // The control plane signs by a root of its own again.
    world.apply(SHOP).await;
    let told = until_signs(&world, None).await;
    assert!(told.failing_ca.is_none() && told.root != own && told.root != signs);
    renew(&world, "web").await;
    renew(&world, "cart").await;
    meeting.end().await;
}

/// A Vault with a secrets engine `pki`, as far as it is asked here.
struct Vault {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    root: Root,
    /// What it answers to everything, if it does not work.
    broken: Option<(u16, &'static str)>,
    /// How far its clock is ahead.
    ahead: Duration,
    /// What was asked: the path and the token.
    asked: Vec<(String, String)>,
}

impl Vault {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            root: company(),
            broken: None,
            ahead: Duration::ZERO,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(stream, &shared).await;
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    fn breaks(&self, broken: Option<(u16, &'static str)>) {
        self.state.lock().unwrap().broken = broken;
    }

    /// How it was asked last.
    fn asked(&self) -> (String, String) {
        self.state.lock().unwrap().asked.last().unwrap().clone()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length: usize = header(head, "content-length").parse().unwrap();
        if body.len() == length {
            break (head.to_owned(), serde_json::from_str(body).unwrap());
        }
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let token = header(&head, "x-vault-token");
    let (status, body) = reply(&mut state.lock().unwrap(), &path, &token, &body);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}

fn reply(state: &mut State, path: &str, token: &str, asked: &Value) -> (u16, String) {
    state.asked.push((path.to_owned(), token.to_owned()));
    if let Some((status, body)) = state.broken {
        return (status, body.to_owned());
    }
    let denied = || (403, json!({"errors": ["permission denied"]}).to_string());
    match path {
        "/v1/auth/kubernetes/login" => {
            if asked["role"] != "leno" || asked["jwt"] != "of the pod" {
                return denied();
            }
            let auth = json!({"auth": {"client_token": "s.good", "lease_duration": 60}});
            (200, auth.to_string())
        }
        "/v1/pki/root/sign-intermediate" if token == "s.good" => {
            let request = pem::parse(asked["csr"].as_str().unwrap()).unwrap();
            assert_eq!(request.tag(), "CERTIFICATE REQUEST");
            assert_eq!(asked["uri_sans"], "spiffe://shop.local");
            assert_eq!(asked["max_path_length"], 0);
            let key = PublicKey::of_request(request.contents()).unwrap();
            let ttl = asked["ttl"].as_str().unwrap().trim_end_matches('s');
            let life = Duration::from_secs(ttl.parse().unwrap());
            let now = leno_channel::wall() + state.ahead;
            let mut dice = Dice::new(rand());
            let signed = state.root.sign_intermediate(&key, life, now, &mut dice);
            let [signed, root] = [signed.unwrap(), state.root.certificate().to_vec()]
                .map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der)));
            let data = json!({"certificate": signed, "issuing_ca": root, "ca_chain": [root]});
            (200, json!({"request_id": "7", "data": data}).to_string())
        }
        _ => denied(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_says_no_and_then_signs_what_signs() {
    let vault = Vault::start().await;
    let place = Arc::new(Place::new());
    let token = place.path("token");
    let of_vault = shop(&format!(
        "{{ca: {{vault: {{address: 'http://{}', tokenFile: {}}}}}}}",
        vault.address,
        token.display()
    ));
    let world = World::with(Arc::clone(&place), |_| {}).await;
    world.apply(&of_vault).await;
    let found = until_found(&world, "T019", "token cannot be read").await;
    assert!(
        found.ends_with("In force: nothing is signed: nobody can join."),
        "{found}"
    );
    fs::write(&token, "s.other\n").unwrap();
    let said = format!(
        "Vault answered 403 to /v1/pki/root/sign-intermediate (token of {}): permission denied.",
        token.display()
    );
    until_found(&world, "T019", &said).await;
    vault.breaks(Some((503, r#"{"errors":["Vault is sealed"]}"#)));
    until_found(&world, "T019", "answered 503").await;
    vault.breaks(Some((200, "<html>")));
    until_found(&world, "T019", "and not as Vault does").await;
    vault.breaks(None);
    fs::write(&token, "s.good\n").unwrap();
    let told = until_signs(&world, Some("vault http://127.0.0.1")).await;
    assert!(told.failing_ca.is_none());
    assert_eq!(
        vault.asked(),
        (
            "/v1/pki/root/sign-intermediate".to_owned(),
            "s.good".to_owned()
        )
    );
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;

    // Without Vault all goes on, also in a control plane that starts again.
    drop(vault);
    let world = World::again(world.kill().await).await;
    assert_eq!(trust(&world).await.root, told.root);
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    cart.view(|view| view.workloads.len() == 1).await;
    let is_web = |event: &Event| matches!(event, Event::Connected { identity, .. } if *identity == id("web"));
    world.event(is_web).await;
    let meeting = Meeting::of(&web, &cart);
    renew(&world, "web").await;
    meeting.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_is_logged_in_at_by_a_service_account() {
    let vault = Vault::start().await;
    let place = Arc::new(Place::new());
    let account = place.path("account");
    fs::write(&account, "of the pod").unwrap();
    let world = World::with(Arc::clone(&place), |_| {}).await;
    let of_vault = |role: &str| {
        shop(&format!(
            "{{ca: {{vault: {{address: 'http://{}', kubernetes: {{role: {role}, tokenFile: {}}}}}}}}}",
            vault.address,
            account.display()
        ))
    };
    world.apply(&of_vault("other")).await;
    let said =
        r#"Vault answered 403 to /v1/auth/kubernetes/login (role "other"): permission denied"#;
    until_found(&world, "T019", said).await;
    // What it signs has not begun yet: its clock is ahead by more than it dates back.
    vault.state.lock().unwrap().ahead = Duration::from_secs(300 + 3);
    world.apply(&of_vault("leno")).await;
    until_signs(&world, Some("vault http://127.0.0.1")).await;
}
