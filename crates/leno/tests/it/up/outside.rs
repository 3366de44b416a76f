//! What runs beside a mesh: shown, and reached as before.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use super::world::Folder;
use crate::said::until;

#[test]
fn what_a_compose_file_publishes_is_shown_as_outside_and_reached_by_localhost() {
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = database.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in database.incoming() {
            let mut stream = stream.unwrap();
            let mut word = [0; 5];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(b"hello ").unwrap();
            stream.write_all(&word).unwrap();
        }
    });
    let folder = Folder::new("beside");
    let talk = format!(
        "import socket
s = socket.create_connection(('localhost', {port}))
s.sendall(b'world')
s.shutdown(socket.SHUT_WR)
open('heard', 'wb').write(s.makefile('rb').read())
"
    );
    let compose = format!(
        "services:
  db:
    image: postgres
    ports:
    - \"127.0.0.1:{port}:5432\"
    - 53:53/udp
  web:
    ports: [3000:3000]
"
    );
    folder
        .write("talk.py", &talk)
        .write("Procfile", "web: python3 talk.py && exec sleep 1000\n")
        .write("compose.yaml", &compose);
    let up = folder.up();
    until(|| folder.path().join("heard").exists());
    until(|| fs::read(folder.path().join("heard")).unwrap() == b"hello world");
    let row = format!(
        "  db     outside         localhost:{port} (compose.yaml:5), plain: it has no proxy\n"
    );
    let left = "  ! compose.yaml:6  db speaks UDP, and only TCP is carried  R042 udp-not-carried\n";
    for shown in [up.shown().to_owned(), folder.told(["ps"])] {
        assert!(shown.contains(&row), "{shown}");
        assert!(shown.contains(left), "{shown}");
        assert!(!shown.contains("3000"), "{shown}");
    }
}

/// Knows one name.
const NAME_SERVER: &str = "
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
while True:
    question, caller = server.recvfrom(512)
    end = question.index(0, 12) + 5
    asked = question[12:end]
    is_known = asked[:-4] == b'\\x04yarn\\x07example\\x00'
    record = b'\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04' + socket.inet_aton('192.0.2.7')
    answers = record if is_known and asked[-4:-2] == b'\\x00\\x01' else b''
    code = 0 if is_known else 3
    head = question[:2] + bytes([0x81, 0x80 | code, 0, 1, 0, 1 if answers else 0, 0, 0, 0, 0])
    server.sendto(head + asked + answers, caller)
";

/// A network of our own with a name server and a web server in it.
const NETWORK: &str = "
set -e
ip link set lo up
ip address add 192.0.2.7/32 dev lo
echo nameserver 127.0.0.1 > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
python3 names.py & names=$!
python3 -m http.server 8000 --bind 192.0.2.7 >web.log 2>&1 & web=$!
until curl -so /dev/null http://192.0.2.7:8000/; do sleep 0.05; done
\"$0\" run \"$@\" -- sh ask.sh
kill $names $web
";

const ASK: &str = "
curl -s http://yarn.example:8000/items
curl -so /dev/null http://nobody.example:8000/ -w '%{http_code}\\n' || echo curl says $?
";

#[test]
fn names_of_others_are_asked_of_the_hosts_resolver_captured_or_not() {
    let folder = Folder::new("names");
    folder
        .write("names.py", NAME_SERVER)
        .write("ask.sh", ASK)
        .write("items", "yarn\n");
    for (arguments, expect) in [
        (&[][..], "yarn\n000\ncurl says 6\n"),
        (&["--explicit"], "yarn\n502\n"),
    ] {
        folder.says_in(NETWORK, arguments, expect);
    }
}

#[test]
fn datagrams_that_are_refused_are_counted_where_somebody_sees_it() {
    let send = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    for _ in range(3):
        s.sendto(b'hello', ('192.0.2.9', 9))
except OSError:
    pass
";
    let folder = Folder::new("datagrams");
    folder
        .write("send.py", send)
        .write("Procfile", "web: python3 send.py; exec sleep 1000\n");
    let _up = folder.up();
    until(|| {
        let rows = folder.told(["ps"]);
        let row = rows.lines().find(|line| line.starts_with("  web "));
        row.is_some_and(|row| row.contains("UDP refused: ") && row.contains("R042 udp-not-carried"))
    });
    let said = folder.told(["run", "--name", "till", "--", "python3", "send.py"]);
    let refused = "! R042 udp-not-carried: only DNS is carried over UDP; leno ps counts\n";
    assert_eq!(said, refused);
}
