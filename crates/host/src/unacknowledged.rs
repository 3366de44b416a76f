//! What the other end of a connection has not taken.

use std::{ffi::c_int, io, os::fd::AsFd};

use rustix::ioctl::{Getter, Opcode, ioctl};

/// How many of the last bytes that were written to a connection the kernel at its other end has not
/// acknowledged (`SIOCOUTQ`); also after the connection broke.
pub fn unacknowledged(connection: impl AsFd) -> io::Result<usize> {
    #[expect(unsafe_code, reason = "no safe wrapper knows this request")]
    // SAFETY: what is asked for is answered by an int.
    let count = unsafe { ioctl(connection, Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Sockets know it by the number of `TIOCOUTQ` of terminals.
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn what_was_read_is_acknowledged() {
        let (mut client, mut server) = connection();
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        // Its end says what it has.
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(unacknowledged(&client).unwrap(), 0);
    }

    #[test]
    fn what_comes_to_a_closed_end_is_not_acknowledged() {
        let (mut client, server) = connection();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        client.write_all(b"hello").unwrap();
        // On loopback it is refused before this returns.
        assert_eq!(unacknowledged(&client).unwrap(), 5);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
