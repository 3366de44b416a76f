//! Calls to hosts outside the mesh by name, really tried: in a network of our own whose name server and
//! hosts are as hostile as any.

use super::world::Folder;

/// `pay.example` and `evil.example` share an address, and two names lead inside.
const NAME_SERVER: &str = "
import socket, struct
NAMES = {
    'pay.example': '192.0.2.7',
    'evil.example': '192.0.2.7',
    'other.example': '192.0.2.8',
    'kept.cloud.example': '192.0.2.8',
    'mail.example': '192.0.2.9',
    'meta.cloud.example': '169.254.169.254',
    'here.cloud.example': '127.0.0.1',
}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
while True:
    question, caller = server.recvfrom(512)
    end = question.index(0, 12) + 5
    asked, labels, at = question[12:end], [], 0
    while asked[at]:
        labels.append(asked[at + 1:at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    address = NAMES.get('.'.join(labels).lower())
    is_v4 = struct.unpack('>H', asked[-4:-2])[0] == 1
    answer = b''
    if address and is_v4:
        answer = b'\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04' + socket.inet_aton(address)
    head = question[:2] + bytes([0x81, 0x80 if address else 0x83, 0, 1, 0, 1 if answer else 0, 0, 0, 0, 0])
    server.sendto(head + asked + answer, caller)
";

/// Servers of HTTP, and ones that end each handshake of TLS with `handshake_failure`: whoever hears that
/// has reached them. One of mail, which greets first.
const HOSTS: &str = "
import socket, threading
def web(stream):
    came = b''
    while True:
        while b'\\r\\n\\r\\n' not in came:
            more = stream.recv(4096)
            if not more: return
            came += more
        came = came.split(b'\\r\\n\\r\\n', 1)[1]
        stream.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n')
def tls(stream):
    try:
        stream.recv(4096)
        stream.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))
    except ConnectionResetError:
        pass
    stream.close()
def mail(stream):
    stream.sendall(b'220 here\\r\\n')
    stream.recv(1)
    stream.close()
def listen(address, port, serve):
    listener = socket.create_server((address, port))
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()
for address in ['192.0.2.7', '192.0.2.8', '169.254.169.254']:
    for port, serve in [(80, web), (443, tls)]:
        threading.Thread(target=listen, args=(address, port, serve), daemon=True).start()
open('hosts-are-there', 'w').close()
listen('192.0.2.9', 25, mail)
";

/// Makes each call, and says what came of it.
const ASK: &str = "
import os, socket, ssl, sys
PROXY = os.environ.get('http_proxy')
def connect(address, port):
    if not PROXY:
        return socket.create_connection((address, port), 10)
    host, number = PROXY.removeprefix('http://').split(':')
    stream = socket.create_connection((host, int(number)), 10)
    stream.sendall(f'CONNECT {address}:{port} HTTP/1.1\\r\\nhost: {address}:{port}\\r\\n\\r\\n'.encode())
    answer = head(stream)
    if not answer.startswith('HTTP/1.1 200'):
        raise ConnectionError(code(answer))
    return stream
def head(stream):
    answer = b''
    while b'\\r\\n\\r\\n' not in answer:
        more = stream.recv(1)
        if not more: raise ConnectionError('closed')
        answer += more
    return answer.decode()
def code(answer):
    lines = [line for line in answer.splitlines() if line.startswith('leno-error')]
    return answer.split(' ')[1] + (' ' + lines[0].split(' ')[1] if lines else '')
def tls(address, name):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_socket(connect(address, 443), server_hostname=name)
    except ssl.SSLError as error:
        return {'SSLV3_ALERT_HANDSHAKE_FAILURE': 'reached', 'TLSV1_UNRECOGNIZED_NAME': 'refused'}.get(error.reason, error.reason)
    except ConnectionResetError:
        return 'reset'
    except ConnectionError as error:
        return str(error)
def http(address, *hosts):
    told = []
    try:
        stream = connect(address, 80)
        for host in hosts:
            stream.sendall(f'GET / HTTP/1.1\\r\\nhost: {host}\\r\\n\\r\\n'.encode())
            answer = head(stream)
            told.append(code(answer))
            length = [line for line in answer.lower().splitlines() if line.startswith('content-length')]
            body = int(length[0].split(':')[1])
            while body > 0:
                body -= len(stream.recv(body))
    except ConnectionResetError:
        told.append('reset')
    except ConnectionError as error:
        told.append(str(error))
    return ', then '.join(told)
def mail(address):
    try:
        stream = connect(address, 25)
        stream.settimeout(10)
        return 'greeted' if stream.recv(100) else 'closed'
    except ConnectionError as error:
        return str(error) if 'R0' in str(error) else 'reset'
for call in open('calls').read().splitlines():
    if call:
        kind, *words = call.split()
        print(call, '-', {'tls': tls, 'http': http, 'mail': mail}[kind](*words), flush=True)
";

const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: outbound}
spec: {unknownDestinations: Allow}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: shop}, spec: {run: {command: exec sleep 1000}}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: free}, spec: {run: {command: exec sleep 1000}}}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: shop}
spec:
  targetRefs: [{kind: MeshWorkload, name: shop}]
  outbound:
    default: Deny
    rules:
    - {hosts: [pay.example, '*.cloud.example'], ports: [80, 443]}
    - {hosts: [mail.example], ports: [25]}
";

/// A network with the name server and the hosts in it, and a mesh beside them.
const NETWORK: &str = "
trap 'kill $names $hosts' EXIT
set -e
ip link set lo up
for address in 192.0.2.7 192.0.2.8 192.0.2.9 169.254.169.254; do ip address add $address/32 dev lo; done
echo nameserver 127.0.0.1 > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
python3 names.py & names=$!
python3 hosts.py & hosts=$!
for try in $(seq 200); do test -e hosts-are-there && break; sleep 0.05; done
\"$0\" up -d \"$@\" >up.log 2>&1 || { cat up.log; exit 1; }
for name in shop free; do
  echo \"as $name\"
  \"$0\" run \"$@\" --name $name -- python3 ask.py 2>run.log || cat run.log
done
\"$0\" down >>up.log 2>&1
";

fn check(name: &str, arguments: &[&str], calls: &str, expect: &str) {
    let folder = Folder::new(name);
    folder
        .write("names.py", NAME_SERVER)
        .write("hosts.py", HOSTS)
        .write("ask.py", ASK)
        .write("calls", calls)
        .write("leno.yaml", MESH);
    folder.says_in(NETWORK, arguments, expect);
}

#[test]
fn a_host_outside_is_called_by_the_names_that_a_policy_allows_and_by_no_trick() {
    check(
        "outbound",
        &[],
        "
tls pay.example pay.example
tls kept.cloud.example kept.cloud.example
http pay.example pay.example
tls other.example other.example
tls evil.example evil.example
tls 192.0.2.7 evil.example
tls 192.0.2.8 pay.example
http 192.0.2.8 pay.example
http 192.0.2.7 pay.example evil.example
http meta.cloud.example meta.cloud.example
http 169.254.169.254 169.254.169.254
http here.cloud.example here.cloud.example
mail mail.example
mail 192.0.2.7
",
        "\
as shop
tls pay.example pay.example - reached
tls kept.cloud.example kept.cloud.example - reached
http pay.example pay.example - 200
tls other.example other.example - refused
tls evil.example evil.example - refused
tls 192.0.2.7 evil.example - refused
tls 192.0.2.8 pay.example - refused
http 192.0.2.8 pay.example - 403 R068
http 192.0.2.7 pay.example evil.example - 200, then 403 R067
http meta.cloud.example meta.cloud.example - 403 R068
http 169.254.169.254 169.254.169.254 - 403 R067
http here.cloud.example here.cloud.example - 403 R068
mail mail.example - greeted
mail 192.0.2.7 - reset
as free
tls pay.example pay.example - reached
tls kept.cloud.example kept.cloud.example - reached
http pay.example pay.example - 200
tls other.example other.example - reached
tls evil.example evil.example - reached
tls 192.0.2.7 evil.example - reached
tls 192.0.2.8 pay.example - reached
http 192.0.2.8 pay.example - 200
http 192.0.2.7 pay.example evil.example - 200, then 200
http meta.cloud.example meta.cloud.example - 200
http 169.254.169.254 169.254.169.254 - 200
http here.cloud.example here.cloud.example - reset
mail mail.example - greeted
mail 192.0.2.7 - reset
",
    );
}

#[test]
fn the_same_holds_for_whoever_calls_through_the_proxy_by_its_variables() {
    check(
        "outbound-explicit",
        &["--explicit"],
        "
tls pay.example pay.example
tls pay.example evil.example
tls other.example other.example
http pay.example pay.example evil.example
http meta.cloud.example meta.cloud.example
mail mail.example
mail 192.0.2.7
",
        "\
as shop
tls pay.example pay.example - reached
tls pay.example evil.example - refused
tls other.example other.example - 403 R067
http pay.example pay.example evil.example - 200, then 403 R067
http meta.cloud.example meta.cloud.example - 403 R067
mail mail.example - greeted
mail 192.0.2.7 - 403 R067
as free
tls pay.example pay.example - reached
tls pay.example evil.example - reached
tls other.example other.example - reached
http pay.example pay.example evil.example - 200, then 200
http meta.cloud.example meta.cloud.example - 200
mail mail.example - greeted
mail 192.0.2.7 - 502 R020
",
    );
}
