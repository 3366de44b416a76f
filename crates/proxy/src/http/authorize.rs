//! Asks external authorizers about a request that the rules let in, before anything of it goes on. A
//! question is a call of the workload's own: it goes to the endpoints of a service as others do.

mod ahead;
mod ask;
mod in_http1;
mod in_http2;
mod under_way;

use std::net::SocketAddr;
use std::str;

use leno_authorizer::{Answer, Body, Party, Question};
use leno_model::view::access::ExternalAuth;
use leno_protocol::{RequestChanges, TakeField, Version, new_host, write_target};
use leno_traffic::{Admitted, Channel, Examined, NoAnswer, Refusal};

use crate::http::attempt::{Sending, Sent};
use crate::http::authorize::ahead::Ahead;
use crate::http::authorize::ask::Asking;
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::incoming::Way;

pub(crate) use crate::http::authorize::under_way::Questions;

impl<'a> Exchange<'a> {
    /// Asks everyone who is to be asked, one after the other, until somebody denies it.
    pub(super) async fn consult(
        &mut self,
        mut examined: Examined<'a>,
        sending: &mut Sending<'_>,
    ) -> Result<Admitted<'a>, Reason> {
        let denied = |denied| Reason::from(&Refusal::Denied(denied));
        let mut ahead = Ahead::new(self.head.body, sending.here());
        while let Some(auth) = examined.asks() {
            if let Some(most) = auth.body {
                self.read_ahead(&mut ahead, most, sending).await?;
            }
            let body = auth.body.map(|most| ahead.body(most));
            let began = self.worker.mono();
            let answer = self.ask(auth, &examined, body).await;
            let took = self.worker.mono().since(began);
            self.told.decision.consulted(auth, &answer, took);
            examined.answered(answer).map_err(denied)?;
        }
        examined.admitted().map_err(denied)
    }

    async fn ask(
        &self,
        auth: &ExternalAuth,
        examined: &Examined<'_>,
        body: Option<Body<'_>>,
    ) -> Result<Answer, NoAnswer> {
        let told = [examined.told_of_token(), examined.told_of_authorizers()];
        let told = told.iter().flatten().collect::<Vec<_>>();
        let changes = RequestChanges {
            headers: &told,
            ..RequestChanges::default()
        };
        let sent = Sent {
            id: None,
            number: 1,
            trace: None,
        };
        let request = &self.head.request;
        let not_told = |_not_text| NoAnswer::NotTold;
        let mut target = Vec::new();
        write_target(&mut target, request, &changes);
        let mut headers = Told::default();
        self.give_request(&mut headers, &sent, &changes);
        let headers = headers.0.iter().map(|(name, value)| (&**name, &**value));
        let id = self.id.to_string();
        let workload = self.incoming.workload(self.table);
        let question = Question {
            id: &id,
            method: request.method,
            target: str::from_utf8(&target).map_err(not_told)?,
            host: str::from_utf8(new_host(request, &changes)).map_err(not_told)?,
            protocol: match self.head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
                Version::Http2 => "HTTP/2",
            },
            headers: &headers.collect::<Vec<_>>(),
            size: self.size_of_body(),
            body,
            source: Party {
                address: self.incoming.from,
                identity: match &self.incoming.peer.channel {
                    Channel::Mtls(caller) => Some(caller.id()),
                    Channel::Local(_) | Channel::Plain(_) => None,
                },
            },
            destination: Party {
                address: self.called_at(),
                identity: workload.map(|workload| &workload.identity),
            },
            at: self.began.wall.elapsed_since_epoch(),
        };
        Asking::new(self.worker, self.table, self.incoming, auth, &question)?
            .ask()
            .await
    }

    /// Where the workload that is called listens.
    fn called_at(&self) -> SocketAddr {
        match &self.incoming.way {
            Way::Inbound { application, .. } => *application,
            Way::Outbound { .. } => self.incoming.from,
        }
    }
}

/// The headers that an application gets, by names in lower case, beside the host.
#[derive(Default)]
struct Told(Vec<(String, Vec<u8>)>);

impl TakeField for Told {
    fn take_field(&mut self, name: &str, value: &[u8]) {
        let Self(headers) = self;
        let name = name.to_ascii_lowercase();
        if !matches!(&*name, "host" | "upgrade") {
            headers.push((name, value.to_vec()));
        }
    }
}
