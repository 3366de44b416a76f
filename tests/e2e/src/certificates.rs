//! Certificates as nobody would get them who asks for one.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leno_channel::{files, generate_key};
use leno_identity::Intermediate;
use leno_model::{Dice, SpiffeId, Wall};

use crate::process::run;
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// Makes a certificate `NAME.pem` with its key `NAME.key` for the address of `name`, in the folder of the world. It leads
/// to `ROOTS.pem`, which no host trusts, and which is made there too unless it has been.
pub fn prove(world: &World, name: &str, roots: &str) {
    let ip = world.at(name, 0).ip();
    run(&mut world.shell(&format!(
        "new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
         test -e {roots}.pem ||\n\
         openssl req -x509 $new -keyout {roots}.key -out {roots}.pem -subj /CN={roots} -days 2\n\
         openssl req $new -keyout {name}.key -out {name}.csr -subj /CN={name}\n\
         echo subjectAltName=IP:{ip} >names\n\
         openssl x509 -req -in {name}.csr -CA {roots}.pem -CAkey {roots}.key -extfile names -days 2 -out {name}.pem"
    )));
}

/// Replaces the certificate of `name` by one that ended a minute ago.
pub fn let_expire(certificates: &Path, name: &str) {
    let hour = 60 * MINUTE;
    issue_earlier(certificates, name, hour, hour + MINUTE);
}

/// Replaces the certificate of `name` by one of this `life` that was signed so long `ago`.
pub fn issue_earlier(certificates: &Path, name: &str, life: Duration, ago: Duration) {
    let authority = files::read_certificates(&certificates.join("ca.pem"));
    let authority = authority.expect("there is an authority").remove(0);
    let key = files::read_key(&certificates.join("ca.key")).expect("it has a key");
    let authority = Intermediate::restore(authority, key).expect("they belong together");
    let id = format!("spiffe://shop.local/ns/shop/sa/{name}");
    let id = SpiffeId::parse(&id).expect("a name");
    let key = generate_key();
    let chain = authority
        .sign_leaf(&key.public(), &id, life, before_now(ago), &mut Dice::new(1))
        .expect("it may sign that");
    let written = files::write_key(&certificates.join(format!("{name}.key")), &key);
    written.expect("the folder takes files");
    let written = files::write_certificates(&certificates.join(format!("{name}.pem")), &chain);
    written.expect("the folder takes files");
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes go by the host's clock"
)]
fn before_now(ago: Duration) -> Wall {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall::since_epoch(now.expect("it is after 1970") - ago)
}
