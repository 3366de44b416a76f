//! One workload's enclosure: opened, watched, and told to end.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::Path;

use leno_host::{Enclosure, Event, Layout, Listeners, OpenError};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

/// What a running workload is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// This signal, by its number.
    Signal(u8),
    /// Nothing more: it and everything that it has started ends.
    End,
}

/// Opens an enclosure without holding up other tasks. `main` begins with
/// [`leno_host::run_if_called`].
pub(crate) async fn open(layout: Layout) -> Result<(Enclosure, Listeners), OpenError> {
    let open = move || Enclosure::open(Path::new("/proc/self/exe"), &layout);
    let opened = tokio::task::spawn_blocking(open).await;
    opened.unwrap_or_else(|_| Err(OpenError::Lost(io::ErrorKind::Other.into())))
}

/// The same for an enclosure without walls.
pub(crate) async fn open_bare() -> Result<(Enclosure, Listeners), OpenError> {
    let open = || Enclosure::open_bare(Path::new("/proc/self/exe"));
    let opened = tokio::task::spawn_blocking(open).await;
    let opened = opened.unwrap_or_else(|_| Err(OpenError::Lost(io::ErrorKind::Other.into())));
    Ok((opened?, Listeners::default()))
}

/// Tells what happens inside until the application has ended, and passes on what it is told.
/// Dropping the enclosure, in the end, ends what is left in it.
pub(crate) async fn watch(
    mut enclosure: Enclosure,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut tell: impl FnMut(Event),
) {
    let lost = Event::Exited(leno_host::Exit::Lost);
    let Ok(arrivals) = arrivals(&enclosure) else {
        return tell(lost);
    };
    loop {
        let event = tokio::select! {
            event = arrivals.async_io(Interest::READABLE, || enclosure.try_event()) => event,
            order = orders.recv() => match order {
                // The application may have ended already; its event is on the way.
                Some(Order::Signal(number)) => {
                    drop(enclosure.signal(number));
                    continue;
                }
                Some(Order::End) | None => return,
            }
        };
        let Ok(event) = event else {
            return tell(lost);
        };
        let is_last = matches!(event, Event::Exited(_) | Event::NotStarted { .. });
        tell(event);
        if is_last {
            return;
        }
    }
}

/// The enclosure's own socket, on which to wait.
fn arrivals(enclosure: &Enclosure) -> io::Result<UnixDatagram> {
    let socket = StdUnixDatagram::from(enclosure.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}
