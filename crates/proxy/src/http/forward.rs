//! Forwards an admitted request: to one endpoint of its service after another until one answers, or
//! to the one place there is.

use std::time::Duration;

use leno_model::Mono;
use leno_protocol::{RequestChanges, Version, grpc};
use leno_traffic::{
    Admitted, Attempts, Changed, Direct, Ended, Failure, Forward, Next, Picked, Refusal, WhyNot,
};

use crate::aim::Hop;
use crate::http::After;
use crate::http::attempt::{Attempt, Sending, Tried};
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::waiting::Limit;
use crate::tcp::CONNECT_LIMIT;
use crate::worker::Worker;

impl Exchange<'_> {
    /// Tries the endpoints of a service until one answers, or it is not worth another try.
    pub(super) async fn forward(
        &mut self,
        forward: &Forward<'_>,
        direct: Option<Direct<'_>>,
        mut sending: Sending<'_>,
    ) -> After {
        let worker = self.worker;
        let in_http2 = self.goes_in_http2(forward.port().protocol());
        let mut tries = Tries {
            worker,
            forward,
            direct,
            in_http2,
            attempts: forward.attempts(self.began.mono),
            stopped: None,
        };
        sending.deadline = tries.attempts.deadline().poll_timeout().map(|end| {
            let span = forward.request_timeout().unwrap_or_default();
            Limit::new(worker, end, span)
        });
        if let Some((end, span)) = self.caller_waits() {
            let sooner = forward.request_timeout().is_none_or(|limit| span < limit);
            tries.attempts.hurry(end);
            if sooner {
                sending.deadline = Some(Limit::of_caller(worker, end, span));
            }
        }
        if in_http2 {
            sending.go_in_http2();
        }
        if let Some(up) = &mut sending.up
            && tries.attempts.may_follow()
        {
            up.copies().hold(&worker.space);
        }
        self.mirror(forward, &mut sending);
        let mut now = self.began.mono;
        let after = loop {
            let follows = match tries.pick(now) {
                Ok(picked) => self.try_at(picked, &mut tries, &mut sending).await,
                Err(refusal) => {
                    let (known, unusable) = worker.unusable(forward.port());
                    self.told.decision.none_usable(known, unusable);
                    Follows::Refusal(Reason::from(&refusal))
                }
            };
            match follows {
                Follows::Another(at) => worker.sleep_until(at).await,
                Follows::Nothing(after) => break after,
                Follows::Refusal(reason) => break self.refuse(&reason, sending).await,
            }
            now = worker.mono();
        };
        if let Some(why) = tries.stopped {
            self.told.decision.not_retried(why);
        }
        let limited_by = |limit| forward.limited_by(limit);
        self.told.decision.limited_by(limited_by);
        after
    }

    /// Until when the client of gRPC waits, if it says so, and how long that is in all. It only shortens
    /// what the mesh gives a call.
    fn caller_waits(&self) -> Option<(Mono, Duration)> {
        if self.head.version != Version::Http2 {
            return None;
        }
        let span = grpc::timeout_of(&self.head.request)?;
        Some((self.began.mono + span, span))
    }

    /// Tries one endpoint.
    async fn try_at(
        &mut self,
        picked: Picked,
        tries: &mut Tries<'_>,
        sending: &mut Sending<'_>,
    ) -> Follows {
        let Tries {
            forward, direct, ..
        } = *tries;
        self.told.decision.picked(&picked);
        let endpoint = picked.endpoint();
        let address = direct.map_or(endpoint.address, |direct| direct.address);
        let tried = match self.incoming.hop(self.table, endpoint, address) {
            Ok(hop) => {
                let Changed {
                    host,
                    path,
                    headers,
                } = forward.changed();
                let [of_part, of_rule] = forward.response_headers();
                let to_browsers = self.told_to_browsers();
                let attempt = Attempt {
                    hop,
                    connect_limit: forward.connect_timeout(),
                    answer_limit: forward.attempt_timeout(),
                    number: tries.attempts.made(),
                    admitted: forward.admitted(),
                    changes: RequestChanges {
                        host,
                        path,
                        headers: &headers,
                        own: &[],
                    },
                    response_headers: &[of_part, of_rule, &to_browsers],
                    in_http2: tries.in_http2,
                };
                let again = &mut |failure, replayable| tries.after(&picked, failure, replayable);
                let tried = self.attempt(&attempt, sending, again).await;
                let after = self.worker.mono().since(self.began.mono);
                self.told.came_to(&tried, after);
                tried
            }
            Err(refusal) => Tried::Hopeless(Reason::from(&refusal), None),
        };
        tries.conclude(picked, tried, sending.is_replayable())
    }

    /// Sends the request to the one place there is. A connection that had been closed before is
    /// replaced once.
    pub(super) async fn straight(
        &mut self,
        admitted: &Admitted<'_>,
        hop: Hop<'_>,
        in_http2: bool,
        mut sending: Sending<'_>,
    ) -> After {
        sending.speak(in_http2, self.worker);
        let waits = self.caller_waits();
        sending.deadline = waits.map(|(end, span)| Limit::of_caller(self.worker, end, span));
        let told = [admitted.told_of_token(), admitted.told_of_authorizers()];
        let told = told.iter().flatten().collect::<Vec<_>>();
        let answered = admitted.answered_by_authorizers();
        let answered = answered.into_iter().collect::<Vec<_>>();
        let mut attempt = Attempt {
            hop,
            connect_limit: CONNECT_LIMIT,
            answer_limit: None,
            number: 1,
            admitted,
            changes: RequestChanges {
                headers: &told,
                ..RequestChanges::default()
            },
            response_headers: &answered,
            in_http2,
        };
        loop {
            let tried = self.attempt(&attempt, &mut sending, &mut |_, _| None).await;
            let reason = match tried {
                Tried::Done(after, _) => return after,
                Tried::Failed(Failure::NotSent, Refusal::ResetBeforeResponse(_))
                    if attempt.number == 1 && sending.is_replayable() =>
                {
                    attempt.number = 2;
                    continue;
                }
                Tried::Failed(_, refusal) => Reason::from(&refusal),
                Tried::Hopeless(reason, _) => reason,
                Tried::Again(_) => unreachable!("no status is tried again"),
                Tried::Left => unreachable!("that is no try"),
            };
            return self.refuse(&reason, sending).await;
        }
    }
}

/// The tries of one request at the endpoints of a service.
struct Tries<'t> {
    worker: &'t Worker,
    forward: &'t Forward<'t>,
    /// The one endpoint there is to try, if the caller named it.
    direct: Option<Direct<'t>>,
    /// Whether its endpoints are spoken to in HTTP/2.
    in_http2: bool,
    attempts: Attempts<'t>,
    /// Why there is no further try, once that was a question.
    stopped: Option<WhyNot>,
}

/// What follows a try.
enum Follows {
    /// Another one, at this moment.
    Another(Mono),
    /// Nothing: the client has its answer.
    Nothing(After),
    /// An answer of our own.
    Refusal(Reason),
}

impl Tries<'_> {
    /// Picks the endpoint of the next try.
    fn pick(&self, now: Mono) -> Result<Picked, Refusal> {
        match &self.direct {
            Some(direct) => Ok(self.worker.balancer.borrow().direct(direct, now)),
            None => {
                let tried = self.attempts.tried();
                self.worker.pick(self.forward.port(), tried, now)
            }
        }
    }

    /// When it is tried again after such a failure at `picked`, if it is.
    fn after(&mut self, picked: &Picked, failure: Failure, replayable: bool) -> Option<Mono> {
        let now = self.worker.mono();
        let dice = &mut self.worker.dice.borrow_mut();
        match self.attempts.after(picked, failure, replayable, now, dice) {
            Next::Again(at) => Some(at),
            Next::Stop(why) => {
                self.stopped = Some(why);
                None
            }
        }
    }

    /// Learns from a try what there is to learn of its endpoint, and says what follows.
    fn conclude(&mut self, picked: Picked, tried: Tried, replayable: bool) -> Follows {
        let (follows, learned) = match tried {
            Tried::Done(after, learned) => (Follows::Nothing(after), learned),
            Tried::Hopeless(reason, learned) => (Follows::Refusal(reason), learned),
            Tried::Again(at) => (Follows::Another(at), Some(Ended::Failed)),
            Tried::Left => unreachable!("that is no try"),
            Tried::Failed(failure, refusal) => {
                let follows = match self.after(&picked, failure, replayable) {
                    Some(at) => Follows::Another(at),
                    None => Follows::Refusal(Reason::from(&refusal)),
                };
                let ended = match failure {
                    Failure::NotSent => Ended::Unreached,
                    Failure::NoAnswer
                    | Failure::Late
                    | Failure::Answered(_)
                    | Failure::Unanswered(_) => Ended::Failed,
                };
                (follows, Some(ended))
            }
        };
        match learned {
            Some(ended) => picked.finish(ended, self.worker.mono()),
            None => drop(picked),
        }
        follows
    }
}
