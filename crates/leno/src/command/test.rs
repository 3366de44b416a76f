//! `leno test`: does the configuration do what the tests beside it say?

mod trust;

use std::collections::BTreeMap;

use leno_model::{Namespace, SpiffeId};
use leno_protocol::Fields;
use leno_resources::Part;
use leno_resources::case::{
    self, Expect, ExpectedRequest, ExpectedRoute, ExpectedRule, From, Test as Written, Verdict,
};

use leno_resources::policy::Identity;

use crate::arguments::Test;
use crate::command::Answer;
use crate::command::test::trust::Trust;
use leno_traffic::{Consent, Token};

use crate::imagine::{Asked, Branch, End, Ground, Imagined, Said, Source, imagine, read, token};
use crate::offline::{Offline, count};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Runs every test and prints those that fail.
pub(crate) fn run(options: &Test, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let offline = Offline::read(&options.input)?;
    let texts = offline.texts();
    let read = offline
        .files
        .tests
        .iter()
        .map(|(path, text)| case::read(path, text));
    let (tests, notes): (Vec<_>, Vec<_>) = read.unzip();
    let tests: Vec<Written> = tests.into_iter().flatten().collect();
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    let number = count(tests.len(), "test");
    terminal.line(offline.context().dim(format_args!(" · {number}")))?;
    for note in &notes {
        terminal.gap()?;
        render::note::print(note, &texts, terminal)?;
    }
    if !notes.is_empty() {
        terminal.gap()?;
    }
    let mut failed = 0;
    for test in &tests {
        let misses = misses(&offline, test);
        if !misses.is_empty() {
            failed += 1;
            let line = Line::new().bad("✗ ").strong(title(test));
            terminal.line(line.column(56, 2).dim(&test.place))?;
        } else if options.verbose {
            terminal.line(Line::new().good("✓ ").plain(title(test)))?;
        }
        for miss in misses {
            terminal.line(Line::new().plain("    ").plain(miss))?;
        }
    }
    if tests.is_empty() && notes.is_empty() {
        terminal.line("no test: they are files named *.test.yaml (leno test --help)")?;
        return Ok(Answer::Bad);
    }
    let summary = Line::new().plain(format_args!("{} passed, ", tests.len() - failed));
    terminal.line(match failed {
        0 => summary.plain("0 failed"),
        _ => summary.bad(format_args!("{failed} failed")),
    })?;
    Ok(if failed + notes.len() == 0 {
        Answer::Fine
    } else {
        Answer::Bad
    })
}

fn title(test: &Written) -> String {
    let call = &test.case.request;
    let asked = || format!("{} {}", call.method, call.url);
    test.case
        .name
        .as_deref()
        .map_or_else(asked, ToOwned::to_owned)
}

/// What does not come as it should, a line each.
fn misses(offline: &Offline, test: &Written) -> Vec<String> {
    match imagined(offline, test) {
        Err(error) => vec![format!("{error:#}")],
        Ok(imagined) => {
            let Expect {
                verdict,
                code,
                status,
                route,
                rule,
                backends,
                redirect,
                request,
                policy,
                audited,
                security,
            } = &test.case.expect;
            let came = Came::of(&imagined);
            let trust = Trust::of(&imagined);
            [
                verdict.and_then(|verdict| came.miss_verdict(verdict)),
                code.as_ref().and_then(|code| came.miss_code(code.0)),
                status.and_then(|status| came.miss_status(status)),
                route
                    .as_ref()
                    .and_then(|route| came.miss_route(route, &offline.namespace)),
                rule.as_ref().and_then(|rule| came.miss_rule(rule)),
                backends
                    .as_ref()
                    .and_then(|backends| came.miss_backends(backends)),
                redirect
                    .as_ref()
                    .and_then(|redirect| came.miss_redirect(redirect)),
                request
                    .as_ref()
                    .and_then(|request| came.miss_request(request)),
                policy.as_ref().and_then(|policy| trust.miss_policy(policy)),
                audited
                    .as_ref()
                    .and_then(|audited| trust.miss_audited(audited)),
                security.and_then(|security| trust.miss_security(security)),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    }
}

fn imagined(offline: &Offline, test: &Written) -> anyhow::Result<Imagined> {
    let source = match &test.case.from {
        From::Workload(namespace, name) => {
            let home = namespace.as_ref().unwrap_or(&offline.namespace);
            let found = offline.mesh.workload(name.as_str(), home);
            Source::Workload(found?.clone())
        }
        From::Somebody(somebody) => match &somebody.identity {
            Some(identity) => {
                let id = match identity {
                    Identity::Spiffe(id) => id.clone(),
                    Identity::Short(namespace, account) => SpiffeId {
                        trust_domain: offline.mesh.settings.trust_domain.clone(),
                        namespace: namespace.clone(),
                        service_account: account.clone(),
                    },
                };
                Source::Identity(id, somebody.address)
            }
            None => Source::Outside(somebody.address),
        },
    };
    let headers = test.case.headers.iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.0.to_string()))
        .collect();
    let asked = Asked::new(&test.case.request.method, &test.case.request.url, headers)?;
    let claims = test.case.claims.as_ref().map(token::of_case);
    let ground = Ground {
        token: claims.as_ref().map_or(Token::Absent, Token::Known),
        consent: match test.case.authorizer {
            Some(Verdict::Allow) => Consent::Given,
            Some(Verdict::Deny) => Consent::Withheld,
            None => Consent::Unknown,
        },
        ..Ground::from(&offline.mesh)
    };
    imagine(ground, &offline.namespace, &source, &asked)
}

/// What came of a call, as tests ask for it.
struct Came<'a> {
    imagined: &'a Imagined,
    branches: &'a [Branch],
}

impl<'a> Came<'a> {
    fn of(imagined: &'a Imagined) -> Self {
        let branches = match &imagined.end {
            End::Reached(branches) => branches.as_slice(),
            End::Refused(_) | End::Redirected { .. } | End::Told { .. } | End::Left => &[],
        };
        Self { imagined, branches }
    }

    fn miss_verdict(&self, expected: Verdict) -> Option<String> {
        let came = self.verdicts();
        let wanted = match expected {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        };
        miss("verdict", &wanted, &came.join(" and "))
    }

    /// `allow`, `deny`, or several where it depends on the endpoint, or on an authorizer.
    fn verdicts(&self) -> Vec<&'static str> {
        let denied = !render::story::codes(&self.imagined.end).is_empty();
        let allowed = match &self.imagined.end {
            End::Refused(_) => false,
            End::Redirected { .. } | End::Told { .. } | End::Left => true,
            End::Reached(branches) => branches.iter().any(|branch| match &branch.receivers {
                Err(_) => false,
                Ok(receivers) => {
                    let mut said = receivers.iter().map(|receiver| &receiver.said);
                    said.any(|said| matches!(said, Said::Allowed))
                }
            }),
        };
        let asks = match &self.imagined.end {
            End::Reached(branches) => branches
                .iter()
                .flat_map(|it| &it.receivers)
                .flatten()
                .any(|receiver| matches!(receiver.said, Said::Asks(_))),
            End::Refused(_) | End::Redirected { .. } | End::Told { .. } | End::Left => false,
        };
        let all = [
            (allowed, "allow"),
            (denied, "deny"),
            (
                asks,
                "what the authorizer says, which the test does not say",
            ),
        ];
        all.into_iter()
            .filter(|(came, _)| *came)
            .map(|(_, word)| word)
            .collect()
    }

    fn miss_code(&self, expected: leno_model::Code) -> Option<String> {
        let mut codes = render::story::codes(&self.imagined.end);
        codes.dedup();
        let named = |code: &leno_model::Code| format!("{code} {}", code.slug());
        let came: Vec<_> = codes.iter().map(named).collect();
        miss("code", &named(&expected), &or_none(&came))
    }

    fn miss_status(&self, expected: u16) -> Option<String> {
        let statuses: Vec<String> = match &self.imagined.end {
            End::Refused(reason) => vec![reason.status.to_string()],
            End::Redirected { status, .. } | End::Told { status, .. } => vec![status.to_string()],
            End::Left => Vec::new(),
            End::Reached(branches) => {
                let reasons = branches.iter().flat_map(render::story::reasons);
                reasons.map(|reason| reason.status.to_string()).collect()
            }
        };
        let mut statuses = statuses;
        statuses.dedup();
        let came = match statuses.as_slice() {
            [] => "the service's own".to_owned(),
            some => some.join(", "),
        };
        miss("status", &expected, &came)
    }

    fn miss_route(&self, expected: &ExpectedRoute, home: &Namespace) -> Option<String> {
        let came = self.imagined.rule.as_ref().map(|rule| &rule.origin.object);
        let came = came.map(|object| match &object.namespace {
            Some(namespace) => format!("{namespace}/{}", object.name),
            None => object.name.to_string(),
        });
        let expected = match expected {
            ExpectedRoute::None => "none".to_owned(),
            // A name alone means the route of that name, wherever the call led.
            ExpectedRoute::Named(None, name) => {
                let object = self.imagined.rule.as_ref().map(|rule| &rule.origin.object);
                match object.filter(|object| object.name == *name) {
                    Some(_) => return None,
                    None => format!("{home}/{name}"),
                }
            }
            ExpectedRoute::Named(Some(namespace), name) => format!("{namespace}/{name}"),
        };
        miss(
            "route",
            &expected,
            &came.unwrap_or_else(|| "none".to_owned()),
        )
    }

    fn miss_rule(&self, expected: &ExpectedRule) -> Option<String> {
        let Some(rule) = &self.imagined.rule else {
            return Some("rule         none took it".to_owned());
        };
        match expected {
            ExpectedRule::Named(name) => miss(
                "rule",
                name,
                rule.name.as_deref().unwrap_or("one without a name"),
            ),
            ExpectedRule::Number(number) => {
                let index = rule.origin.pointer.strip_prefix("/spec/rules/");
                let came = index.and_then(|index| index.parse::<u32>().ok());
                let came = came.map_or_else(|| "none".to_owned(), |index| (index + 1).to_string());
                miss("rule", number, &came)
            }
        }
    }

    fn miss_backends(&self, expected: &BTreeMap<std::sync::Arc<str>, u8>) -> Option<String> {
        let came = self.branches.iter().map(|branch| {
            let (weight, total) = branch.share;
            let percent = f64::from(weight) * 100.0 / f64::from(total);
            (branch.backend.as_str(), percent)
        });
        let came: Vec<_> = came.collect();
        // A backend is named by its service, with or without namespace and port.
        let is_named = |name: &str, backend: &str| {
            let service = backend.split(':').next().unwrap_or(backend);
            name == backend || name == service || service.split('/').next_back() == Some(name)
        };
        let share_of = |name: &str| -> f64 {
            came.iter()
                .filter(|(backend, _)| is_named(name, backend))
                .map(|(_, share)| share)
                .sum()
        };
        let all_named = came.iter().all(|(backend, share)| {
            *share == 0.0 || expected.keys().any(|name| is_named(name, backend))
        });
        let close = |(name, percent): (&std::sync::Arc<str>, &u8)| {
            (share_of(name) - f64::from(*percent)).abs() < 0.5
        };
        if all_named && expected.iter().all(close) {
            return None;
        }
        let wanted = expected
            .iter()
            .map(|(name, percent)| format!("{name} {percent} %"));
        let came = came
            .iter()
            .map(|(backend, percent)| format!("{backend} {percent:.0} %"));
        let came: Vec<_> = came.collect();
        miss(
            "backends",
            &wanted.collect::<Vec<_>>().join(", "),
            &or_none(&came),
        )
    }

    fn miss_redirect(&self, expected: &str) -> Option<String> {
        let came = match &self.imagined.end {
            End::Redirected { location, .. } => location.as_str(),
            End::Refused(_) | End::Told { .. } | End::Left | End::Reached(_) => "none",
        };
        miss("redirect", &expected, came)
    }

    fn miss_request(&self, expected: &ExpectedRequest) -> Option<String> {
        let misses = self
            .branches
            .iter()
            .find_map(|branch| miss_sent(expected, &branch.sent));
        if self.branches.is_empty() {
            return Some("request      none was sent on".to_owned());
        }
        misses
    }
}

/// What of a request that was sent on is not as expected.
fn miss_sent(expected: &ExpectedRequest, sent: &[u8]) -> Option<String> {
    let mut fields = Fields::new();
    let head = match read(sent, &mut fields) {
        Ok(head) => head,
        Err(refused) => return Some(format!("request      it would be refused: {refused}")),
    };
    let request = &head.request;
    let path = expected.path.as_deref();
    let path = path.and_then(|path| miss("path", &path, request.path.raw()));
    let host = expected.host.as_deref();
    let host = host.and_then(|host| miss("host", &host, request.host));
    let values = |name: &str| {
        let values = request
            .header(name)
            .map(|value| String::from_utf8_lossy(value).into_owned());
        or_none(&values.collect::<Vec<_>>())
    };
    let mut headers = expected.headers.iter();
    let header =
        headers.find_map(|(name, value)| miss(&format!("header {name}"), &value.0, &values(name)));
    let mut without = expected.without.iter().filter_map(Part::sound);
    let unwanted = without.find_map(|name| miss(&format!("header {name}"), &"none", &values(name)));
    path.or(host).or(header).or(unwanted)
}

fn or_none(values: &[String]) -> String {
    match values {
        [] => "none".to_owned(),
        some => some.join(", "),
    }
}

fn miss(what: &str, expected: &dyn ToString, came: &str) -> Option<String> {
    let expected = expected.to_string();
    (expected != came).then(|| format!("{what:<12} expected {expected}, came {came}"))
}
