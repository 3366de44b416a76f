//! Clients of others that keep a proxy busy: wrk for HTTP/1.1, h2load for HTTP/2.

use std::{error::Error, net::SocketAddr, path::Path};

use crate::bench::origin::REQUEST;
use crate::rig::process::{Core, said};

/// How a proxy is kept busy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// By wrk over so many connections.
    Http1 {
        connections: usize,
        path: &'static str,
    },
    /// By h2load over so many connections, each with so many streams at once.
    Http2 {
        connections: usize,
        streams: usize,
        call: Call,
    },
}

/// What is asked over HTTP/2.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// `GET` of 1 KB.
    Get,
    /// A unary call of gRPC.
    Grpc,
}

impl Load {
    /// Calls for so many seconds; how many calls were answered. One that was answered badly is an error.
    pub(super) fn calls(
        self,
        folder: &Path,
        address: SocketAddr,
        seconds: u32,
    ) -> Result<u64, Box<dyn Error>> {
        let (program, words) = self.words(address, seconds);
        let mut command = Core::Other.command(Path::new(program));
        let said = said(command.args(words.split_whitespace()).current_dir(folder))?;
        let answered = match self {
            Self::Http1 { .. } => answered_wrk(&said),
            Self::Http2 { .. } => answered_h2load(&said),
        };
        Ok(answered
            .ok_or_else(|| format!("not every call to {address} was answered well: {said}"))?)
    }

    /// Warms up, and sees that a call of gRPC ends as it should: h2load looks at the status of HTTP only.
    pub(super) fn begin(self, folder: &Path, address: SocketAddr) -> Result<(), Box<dyn Error>> {
        self.calls(folder, address, 1)?;
        let Self::Http2 {
            call: Call::Grpc, ..
        } = self
        else {
            return Ok(());
        };
        let mut command = Core::Other.command(Path::new("nghttp"));
        let words = format!(
            "-v -d {REQUEST} -Hcontent-type:application/grpc -Hte:trailers {}",
            echo(address)
        );
        let command = command.args(words.split(' ')).arg("-H:method:POST");
        let told = said(command.current_dir(folder))?;
        if !told.contains("grpc-status: 0") {
            return Err(format!("no status of gRPC from {address}: {told}").into());
        }
        Ok(())
    }

    fn words(self, address: SocketAddr, seconds: u32) -> (&'static str, String) {
        match self {
            Self::Http1 { connections, path } => (
                "wrk",
                format!("-t1 -c{connections} -d{seconds}s http://{address}{path}"),
            ),
            Self::Http2 {
                connections,
                streams,
                call,
            } => {
                let call = match call {
                    Call::Get => format!("http://{address}/"),
                    Call::Grpc => format!(
                        "-d {REQUEST} -Hcontent-type:application/grpc -Hte:trailers {}",
                        echo(address)
                    ),
                };
                let words = format!("-c{connections} -m{streams} -D{seconds} {call}");
                ("h2load", words)
            }
        }
    }
}

/// The method of gRPC that the origin has.
fn echo(address: SocketAddr) -> String {
    format!("http://{address}/leno.Echo/Call")
}

/// Reads what wrk says: `  51234 requests in 2.00s, 65.90MB read`, and nothing of errors.
fn answered_wrk(said: &str) -> Option<u64> {
    let flawed = |line: &str| line.contains("Non-2xx") || line.contains("Socket errors");
    if said.lines().any(flawed) {
        return None;
    }
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    let calls = line.split_whitespace().next()?.parse().ok()?;
    (calls > 0).then_some(calls)
}

/// Reads what h2load says: `requests: 90 total, 95 started, 90 done, 90 succeeded, 0 failed, 0 errored, 0 timeout`.
fn answered_h2load(said: &str) -> Option<u64> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| {
        let part = line.split(", ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse::<u64>().ok()
    };
    let flaws = count("failed")? + count("errored")? + count("timeout")?;
    let calls = count("succeeded")?;
    (flaws == 0 && calls > 0).then_some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flawless_runs_of_wrk_count() {
        let fine = "Running 2s test\n  51234 requests in 2.00s, 65.90MB read\n";
        assert_eq!(answered_wrk(fine), Some(51234));
        let flawed = format!("{fine}  Non-2xx or 3xx responses: 1\n");
        assert_eq!(answered_wrk(&flawed), None);
        assert_eq!(answered_wrk("  0 requests in 2.00s, 0B read\n"), None);
        assert_eq!(answered_wrk("unable to connect"), None);
    }

    #[test]
    fn only_flawless_runs_of_h2load_count() {
        let line = |succeeded, failed| {
            format!(
                "finished\nrequests: 90 total, 95 started, 90 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout\n"
            )
        };
        assert_eq!(answered_h2load(&line(90, 0)), Some(90));
        assert_eq!(answered_h2load(&line(89, 1)), None);
        assert_eq!(answered_h2load(&line(0, 0)), None);
        assert_eq!(answered_h2load("no connection"), None);
    }
}
