//! What came at an end, as it is written in a conversation.

/// Bytes as lines, each with its line end. An answer of the proxy's own is told by status and code;
/// what proxies make up anew for each call is left out.
pub(crate) fn lines(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        if let Some((told, rest)) = own_answer(bytes) {
            lines.push(told);
            bytes = rest;
            continue;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.map_or(bytes.len(), |end| end + 1);
        let (line, rest) = bytes.split_at(end);
        let line = shortened(line).escape_ascii().to_string();
        if !MADE_UP.iter().any(|made_up| line.starts_with(made_up)) {
            // As it was typed.
            lines.push(line.replace("\\\"", "\"").replace("\\'", "'"));
        }
        bytes = rest;
    }
    lines
}

/// `403 R003 no-allow-rule, and closes`, if that is at the front, and what follows.
fn own_answer(bytes: &[u8]) -> Option<(String, &[u8])> {
    let text = bytes.strip_prefix(b"HTTP/1.1 ")?;
    let end = text.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = text.split_at(end + 4);
    let head = str::from_utf8(head).ok()?;
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    };
    let (status, _) = head.split_once(' ')?;
    let (code, _) = field("leno-error")?.split_once(';')?;
    let length: usize = field("content-length")?.parse().ok()?;
    let body = rest.get(..length)?;
    // An answer to HEAD says how long its body would be.
    let is_told = body.ends_with(b"\n") && body.windows(8).any(|eight| eight == b"leno why");
    let closes = match field("connection") {
        Some("close") => ", and closes",
        _ => "",
    };
    let rest = if is_told { rest.get(length..)? } else { rest };
    Some((format!("{status} {code}{closes}"), rest))
}

/// Beginnings of the lines that proxies make up.
const MADE_UP: [&str; 3] = [
    "leno-attempt: ",
    "x-forwarded-client-cert: By=",
    "x-request-id: ",
];

/// What repeats itself for long says nothing more.
fn shortened(line: &[u8]) -> Vec<u8> {
    let Some(first) = line.first() else {
        return Vec::new();
    };
    match line.iter().all(|byte| byte == first) && line.len() > 100 {
        true => format!("({} times {})", line.len(), first.escape_ascii()).into_bytes(),
        false => line.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_says_itself_is_told_by_its_code() {
        let own = "HTTP/1.1 400 Bad Request\r\nleno-error: R031 ambiguous-framing; by=x\r\n\
                   Content-Length: 15\r\nConnection: close\r\n\r\nAsk: leno why 1\n";
        let own = own.replace("15", "16");
        assert_eq!(
            lines(own.as_bytes()),
            ["400 R031 ambiguous-framing, and closes"]
        );
        let of_server = "HTTP/1.1 200 OK\r\nX: \"\x01\"\r\n\r\nok";
        let told = [
            "HTTP/1.1 200 OK\\r\\n",
            "X: \"\\x01\"\\r\\n",
            "\\r\\n",
            "ok",
        ];
        assert_eq!(lines(of_server.as_bytes()), told);
    }
}
