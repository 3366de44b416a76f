//! What a keeper still has to tell its caller. There is one place for each kind of news, so that a
//! caller who does not listen makes nothing grow.

use std::{collections::BTreeSet, io, net::SocketAddr};

use super::{
    application::Application,
    message::{ADDRESSES_MAX, Report},
};
use crate::link::Link;

#[derive(Default)]
pub(super) struct Outbox {
    started: bool,
    listening: Option<Report>,
    refused: Option<Report>,
    end: Option<Report>,
}

impl Outbox {
    /// The application runs.
    pub(super) fn started(&mut self) {
        self.started = true;
    }

    /// It listens there.
    pub(super) fn listening(&mut self, everywhere: &BTreeSet<SocketAddr>) {
        let addresses: BTreeSet<_> = everywhere.iter().copied().take(ADDRESSES_MAX).collect();
        let omitted = u32::try_from(everywhere.len() - addresses.len()).unwrap_or(u32::MAX);
        self.listening = Some(Report::Listening { addresses, omitted });
    }

    /// So many datagrams were refused.
    pub(super) fn refused(&mut self, datagrams: u64) {
        self.refused = Some(Report::UdpRefused { datagrams });
    }

    /// There is nothing more to come.
    pub(super) fn end(&mut self, report: Report) {
        self.end = Some(report);
    }

    pub(super) fn holds_end(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.started && self.listening.is_none() && self.refused.is_none() && self.end.is_none()
    }

    /// Tells what the caller takes at once. True when it has been told the end.
    pub(super) fn flush(&mut self, link: &Link, of: Option<&Application>) -> io::Result<bool> {
        match self.tell(link, of) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            told => told,
        }
    }

    fn tell(&mut self, link: &Link, of: Option<&Application>) -> io::Result<bool> {
        if let (true, Some(application)) = (self.started, of) {
            link.send(&Report::Started.encode(), &[application.end()])?;
            self.started = false;
        }
        for report in [&mut self.listening, &mut self.refused] {
            if let Some(news) = report {
                link.send(&news.encode(), &[])?;
                *report = None;
            }
        }
        if let Some(end) = &self.end {
            link.send(&end.encode(), &[])?;
        }
        Ok(self.holds_end())
    }
}
