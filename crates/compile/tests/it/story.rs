//! A mesh and its notes, told line by line.

use std::fmt::Write as _;
use std::sync::Arc;

use leno_compile::{
    BundlePlace, Condition, ConditionKind, Mesh, Peer, conditions, routes as routes_of,
};
use leno_model::view::access::{ExternalAuth, JwtIssuer, KeySource, TokenPlace};
use leno_model::view::{
    Access, AccessRule, Action, Backend, CallerMatch, Collector, Cors, HeaderChanges, HeaderMatch,
    HostMatch, HttpMatch, Isolation, Mirror, Named, Outbound, PathMatch, PathRewrite, PortRef,
    RequestMatch, Rewrite, Routes, Rule, Service, ServicePort, SiteMatch, State, Telemetry,
    TextMatch, Tuning, WhileAway, Within, WorkloadId,
};
use leno_model::{Note, Notes, Origin, TrustDomain};
use leno_resources::{Resources, Source};

use crate::cases::compiled;

/// Everything that a case means.
pub(crate) fn of(name: &str, input: &[u8]) -> String {
    let (resources, mesh, notes) = compiled(name, input);
    let source = Source {
        path: name.into(),
        bytes: input.into(),
    };
    let mut story = String::new();
    telemetry("everywhere is told", &mesh.settings.telemetry, &mut story);
    if let Some(collector) = &mesh.settings.collector {
        self::collector(collector, &mut story);
    }
    if mesh.settings.while_away == WhileAway::Open {
        let by = &mesh.settings.origins["kubernetes.whileAway"];
        writeln!(story, "pods start while nobody answers ({by})").unwrap();
    }
    for namespace in &mesh.settings.unasked {
        let by = &mesh.settings.origins["kubernetes.excludeNamespaces"];
        writeln!(story, "pods of {namespace} start unasked ({by})").unwrap();
    }
    for probe in &mesh.settings.probes {
        let from = probe
            .from
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        writeln!(
            story,
            "probe {} on port {} from {} ({})",
            probe.check,
            probe.port,
            from.join(", "),
            probe.origin
        )
        .unwrap();
    }
    for (domain, peer) in &mesh.peers {
        self::peer(domain, peer, &mut story);
    }
    for service in mesh.services.values() {
        self::service(&mesh, service, &mut story);
    }
    accesses(&mesh, &mut story);
    for note in &notes {
        story.push('\n');
        tell(note, &source, &mut story);
    }
    status(&resources, &notes, &mut story);
    story
}

fn collector(collector: &Collector, story: &mut String) {
    let Collector {
        endpoint,
        protocol,
        headers_file,
        roots_file,
        signals,
        interval,
    } = collector;
    let file = |name: &str, path: &Option<Arc<str>>| {
        let path = path.as_ref();
        path.map_or_else(String::new, |path| format!(", {name} {path}"))
    };
    writeln!(
        story,
        "collector {endpoint} {protocol:?}{}{}, every {interval:?}: {signals:?}",
        file("headers", headers_file),
        file("roots", roots_file),
    )
    .unwrap();
}

fn peer(domain: &TrustDomain, peer: &Peer, story: &mut String) {
    let mut from = Vec::new();
    if peer.bundle.is_some() {
        from.push("as written".to_owned());
    }
    from.extend(peer.place.as_ref().map(|place| match place {
        BundlePlace::File(path) => format!("file {path}"),
        BundlePlace::Web { url, roots_file } => match roots_file {
            Some(file) => format!("{url}, by its name and the roots in {file}"),
            None => format!("{url}, by its name"),
        },
        BundlePlace::Spiffe { url, id } => format!("{url}, who must be {id}"),
    }));
    let (origin, from) = (&peer.origin, from.join("; then "));
    writeln!(story, "{domain} is believed by its keys: {from} ({origin})").unwrap();
}

fn service(mesh: &Mesh, service: &Service, story: &mut String) {
    for (number, port) in &service.ports {
        let protocol = port.protocol;
        let reference = PortRef {
            service: service.name.clone(),
            port: *number,
        };
        let answering = mesh.answered(&reference).map(|(instance, answer)| {
            let (id, port) = (&instance.workload.id, answer.port);
            let if_none = match answer.state {
                State::Ready => "",
                State::Draining | State::Unknown => " if no other",
            };
            match instance.workload.addresses.first() {
                Some(address) => format!("{id} {address}:{port}{if_none}"),
                None => format!("{id} :{port}{if_none}"),
            }
        });
        let answering = answering.collect::<Vec<_>>();
        let answering = if answering.is_empty() {
            "nobody".into()
        } else {
            answering.join(", ")
        };
        writeln!(story, "{reference} {protocol}, answered by {answering}").unwrap();
        attached(port, story);
        tuning(&port.tuning, story);
        telemetry("callers tell", &port.telemetry, story);
    }
}

/// What is told of calls, if that is not everything and no trace.
fn telemetry(who: &str, telemetry: &Telemetry, story: &mut String) {
    if *telemetry == Telemetry::default() {
        return;
    }
    let Telemetry {
        access_log,
        tracing,
        redaction,
        records,
        origins,
    } = telemetry;
    let mut words = Vec::new();
    if !access_log.is_on {
        words.push("no lines".to_owned());
    }
    words.extend(
        access_log
            .when
            .as_ref()
            .map(|when| format!("lines when {when}")),
    );
    if let Some(fields) = access_log.fields {
        words.push(format!(
            "with {}",
            fields.names().collect::<Vec<_>>().join(" ")
        ));
    }
    if !access_log.request_headers.is_empty() {
        words.push(format!("headers {}", access_log.request_headers.join(" ")));
    }
    if !access_log.response_headers.is_empty() {
        let names = access_log.response_headers.join(" ");
        words.push(format!("headers of answers {names}"));
    }
    if tracing.sample > 0 {
        words.push(format!("{} in a million traced", tracing.sample));
    }
    if tracing.errors {
        words.push("failures traced".to_owned());
    }
    if redaction.all {
        words.push("all hidden".to_owned());
    }
    words.extend(redaction.patterns.iter().map(|it| format!("{it} hidden")));
    words.extend(records.iter().map(|(fact, by)| {
        let by = by.object.name.as_str();
        format!("{fact} recorded by {by}")
    }));
    let said = origins.iter();
    let said = said.map(|(field, origin)| format!("{field} {}", place(origin)));
    let said = said.collect::<Vec<_>>().join(", ");
    let said = match said.as_str() {
        "" => String::new(),
        said => format!(" ({said})"),
    };
    writeln!(story, "  {who}: {}{said}", words.join(", ")).unwrap();
}

fn attached(port: &ServicePort, story: &mut String) {
    if let Some(producer) = &port.producer {
        routes("everybody", producer, story);
    }
    for (namespace, consumer) in &port.consumers {
        routes(&format!("callers of {namespace}"), consumer, story);
    }
}

fn routes(who: &str, routes: &Routes, story: &mut String) {
    writeln!(story, "  for {who}").unwrap();
    for (index, route) in routes.routes.iter().enumerate() {
        let rule = &routes.rules[route.rule];
        let requests = requests(&route.host, &route.matches);
        let name = rule
            .name
            .as_ref()
            .map(|name| format!(" \"{name}\""))
            .unwrap_or_default();
        writeln!(
            story,
            "    {}. {requests} -> {}{name}",
            index + 1,
            place(&rule.origin)
        )
        .unwrap();
        if let Some(told) = routes.telemetry.get(&route.rule) {
            telemetry("     callers tell", told, story);
        }
        let first = routes
            .routes
            .iter()
            .position(|other| other.rule == route.rule);
        if first == Some(index) {
            self::rule(rule, story);
        }
    }
}

fn requests(host: &HostMatch, matches: &HttpMatch) -> String {
    let mut words = Vec::new();
    words.extend(matches.method.as_deref().map(str::to_owned));
    if let Some(host) = self::host(host) {
        words.push(host);
    }
    words.push(path(&matches.path));
    words.extend(
        matches
            .headers
            .iter()
            .map(|header| format!("header {}", named(header))),
    );
    words.extend(
        matches
            .query
            .iter()
            .map(|query| format!("query {}", named(query))),
    );
    words.join(" ")
}

fn host(host: &HostMatch) -> Option<String> {
    match host {
        HostMatch::Any => None,
        HostMatch::Exact(host) => Some(host.to_string()),
        HostMatch::Suffix(suffix) => Some(format!("*{suffix}")),
    }
}

fn path(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(prefix) => format!("{prefix}/*"),
        PathMatch::Regex(pattern) => format!("~{}", pattern.as_str()),
        PathMatch::Template(template) => template.to_string(),
    }
}

fn named(named: &HeaderMatch) -> String {
    match &named.value {
        TextMatch::Exact(value) => format!("{}={value}", named.name),
        TextMatch::Regex(pattern) => format!("{}~{}", named.name, pattern.as_str()),
    }
}

fn rule(rule: &Rule, story: &mut String) {
    let mut line = |text: String| writeln!(story, "         {text}").unwrap();
    match &rule.action {
        Action::Forward(split) => {
            for part in split.parts() {
                let backend = match &part.backend {
                    Backend::Service(port) => port.to_string(),
                    Backend::Invalid(code) => format!("500 {code}"),
                };
                line(format!("{} of {} {backend}", part.weight, split.total()));
                changes("  request", &part.request_headers, &mut line);
                changes("  response", &part.response_headers, &mut line);
                rewritten("  rewrite", part.rewrite.as_ref(), &mut line);
                mirrors("  copies", &part.mirrors, &mut line);
            }
        }
        Action::Redirect(redirect) => {
            let scheme = redirect.scheme.as_deref().unwrap_or("same");
            let host = redirect.host.as_deref().unwrap_or("same");
            let port = redirect.port.map_or("same".into(), |port| port.to_string());
            let path = redirect.path.as_ref().map_or("same".into(), rewrite);
            line(format!(
                "{} scheme {scheme}, host {host}, port {port}, path {path}",
                redirect.status
            ));
        }
        Action::Refuse(code, origin) => line(format!("500 {code} {}", origin.pointer)),
    }
    changes("request", &rule.request_headers, &mut line);
    changes("response", &rule.response_headers, &mut line);
    rewritten("rewrite", rule.rewrite.as_ref(), &mut line);
    mirrors("copies", &rule.mirrors, &mut line);
    if let Some(cors) = &rule.cors {
        self::cors(cors, &mut line);
    }
    if let Some(timeout) = rule.request_timeout {
        line(format!("timeout {timeout:?}"));
    }
    if let Some(timeout) = rule.attempt_timeout {
        line(format!("timeout of one try {timeout:?}"));
    }
    if let Some(retry) = &rule.retry {
        let unanswered = if retry.unanswered {
            " or no answer"
        } else {
            ""
        };
        line(format!(
            "{} retries on {:?}{unanswered}, after {:?}",
            retry.attempts, retry.codes, retry.backoff
        ));
    }
}

fn rewritten(word: &str, change: Option<&Rewrite>, line: &mut impl FnMut(String)) {
    if let Some(change) = change {
        let host = change.host.as_deref().unwrap_or("same");
        let path = change.path.as_ref().map_or("same".into(), rewrite);
        line(format!("{word} host {host}, path {path}"));
    }
}

fn mirrors(word: &str, mirrors: &[Mirror], line: &mut impl FnMut(String)) {
    for Mirror {
        to,
        share,
        of,
        origin,
    } in mirrors
    {
        line(format!(
            "{word} {share} of {of} to {to} ({})",
            place(origin)
        ));
    }
}

fn cors(cors: &Cors, line: &mut impl FnMut(String)) {
    let Cors {
        origin,
        sites,
        credentials,
        methods,
        headers,
        exposed,
        max_age,
    } = cors;
    let sites = sites.iter().map(site).collect::<Vec<_>>().join(" ");
    let credentials = if *credentials {
        " with credentials"
    } else {
        ""
    };
    line(format!(
        "pages of [{sites}]{credentials} ({})",
        place(origin)
    ));
    let (methods, headers, exposed) = (some(methods), some(headers), some(exposed));
    line(format!(
        "  methods {methods}, headers {headers}, read {exposed}, for {max_age:?}"
    ));
}

fn site(site: &SiteMatch) -> String {
    let SiteMatch::At { secure, host, port } = site else {
        return "*".into();
    };
    let scheme = if *secure { "https" } else { "http" };
    let host = self::host(host).unwrap_or_else(|| "*".into());
    format!("{scheme}://{host}:{port}")
}

fn some(named: &Named) -> String {
    match named {
        Named::Any => "*".into(),
        Named::These(names) => format!("[{}]", names.join(" ")),
    }
}

fn rewrite(rewrite: &PathRewrite) -> String {
    match rewrite {
        PathRewrite::Full(path) => format!("={path}"),
        PathRewrite::Prefix(prefix) => format!("{prefix}/*"),
    }
}

fn changes(whose: &str, changes: &HeaderChanges, line: &mut impl FnMut(String)) {
    for (name, value) in &changes.set {
        line(format!("{whose} set {name}: {value}"));
    }
    for (name, value) in &changes.add {
        line(format!("{whose} add {name}: {value}"));
    }
    for name in &changes.remove {
        line(format!("{whose} remove {name}"));
    }
}

fn tuning(tuning: &Tuning, story: &mut String) {
    for (field, origin) in &tuning.origins {
        let value = match &**field {
            "timeouts.connect" => format!("{:?}", tuning.connect_timeout),
            "timeouts.request" => tuning
                .request_timeout
                .map_or("none".into(), |it| format!("{it:?}")),
            "retry.attempts" => tuning.retry.attempts.to_string(),
            "retry.codes" => format!("{:?}", tuning.retry.codes),
            "retry.backoff" => format!("{:?}", tuning.retry.backoff),
            "retryBudget.percent" => format!("{} %", tuning.budget.percent),
            "retryBudget.atLeastPerSecond" => tuning.budget.at_least_per_second.to_string(),
            other => panic!("{other} is not told"),
        };
        writeln!(story, "  {field} {value} ({})", place(origin)).unwrap();
    }
}

/// Who may call, where anything is said about it.
fn accesses(mesh: &Mesh, story: &mut String) {
    for (id, instance) in mesh.instances.iter() {
        let workload = &instance.workload;
        for (number, port) in &workload.ports {
            telemetry(&format!("{id}:{number} tells"), &port.telemetry, story);
        }
        telemetry(
            &format!("{id} tells of other ports"),
            &workload.telemetry,
            story,
        );
        let ports = workload
            .ports
            .iter()
            .map(|(number, port)| (format!("{number} {}", port.protocol), &port.access));
        let ports = ports.chain([("others".to_owned(), &workload.other_ports)]);
        if let Some(isolation) = &workload.isolation {
            self::isolation(id, isolation, story);
        }
        outbound(id, &workload.outbound, story);
        let said = ports
            .filter(|(_, access)| ***access != Access::open())
            .collect::<Vec<_>>();
        if said.is_empty() {
            continue;
        }
        writeln!(story, "access to {id}, who is {}", workload.identity).unwrap();
        for (port, access) in said {
            self::access(&port, access, story);
        }
    }
}

/// From where calls come to it, where anything is said about it.
fn isolation(id: &WorkloadId, isolation: &Isolation, story: &mut String) {
    let by: Vec<_> = isolation.by.iter().map(place).collect();
    if !by.is_empty() {
        writeln!(story, "calls by the mesh come to {id} by {}", by.join(", ")).unwrap();
    }
    for rule in &isolation.rules {
        writeln!(story, "    {rule} ({})", place(&rule.origin)).unwrap();
    }
    for egress in &isolation.egress {
        let by: Vec<_> = egress.by.iter().map(place).collect();
        let rest = if egress.is_rest { "else " } else { "" };
        let callers = format!("{rest}{}", egress.callers);
        writeln!(story, "{callers} goes out to {id} by {}", by.join(", ")).unwrap();
        for rule in &egress.rules {
            writeln!(story, "    to {rule} ({})", place(&rule.origin)).unwrap();
        }
    }
}

/// Whom it may call outside, where anything is said about it.
fn outbound(id: &WorkloadId, outbound: &Outbound, story: &mut String) {
    if outbound.is_unsaid() {
        return;
    }
    let otherwise = match &outbound.default {
        Some((stance, origin)) => format!("{stance:?} ({})", place(origin)),
        None => "as the mesh says".to_owned(),
    };
    writeln!(story, "calls of {id} to the outside: else {otherwise}").unwrap();
    for rule in outbound.rules.iter().chain(&outbound.audits) {
        let by = place(&rule.origin);
        writeln!(story, "    {:?} {rule} ({by})", rule.effect).unwrap();
    }
}

fn access(port: &str, access: &Access, story: &mut String) {
    let by = |origin: &Option<Origin>| {
        origin
            .as_ref()
            .map(|it| format!(" ({})", place(it)))
            .unwrap_or_default()
    };
    writeln!(
        story,
        "  {port}: {:?}{}, else {:?}{}",
        access.mtls,
        by(&access.mtls_origin),
        access.stance,
        by(&access.stance_origin),
    )
    .unwrap();
    if let Some(jwt) = &access.jwt {
        let required: String = jwt
            .required
            .iter()
            .map(|it| by(&Some(it.clone())))
            .collect();
        let every = if !jwt.required.is_empty() {
            "every call, "
        } else {
            ""
        };
        writeln!(
            story,
            "    tokens: {every}{} issuers{required}",
            jwt.issuers.len()
        )
        .unwrap();
    }
    for issuer in access.jwt.iter().flat_map(|jwt| &jwt.issuers) {
        writeln!(story, "    believed: {}", self::issuer(issuer)).unwrap();
    }
    for external in &access.external {
        writeln!(story, "    asked: {}", self::external(external)).unwrap();
    }
    for rule in access.rules.iter().chain(&access.audits) {
        access_rule(rule, story);
    }
}

fn external(external: &ExternalAuth) -> String {
    let ExternalAuth {
        origin,
        within,
        requests,
        except,
        to,
        protocol,
        timeout,
        on_failure,
        tells,
        sets,
        body,
    } = external;
    let mut words = format!("{to} by {protocol:?} within {timeout:?}, else {on_failure:?}");
    for (word, matches) in [(" about", requests), (" except", except)] {
        for one in matches {
            write!(words, "{word} {one}").unwrap();
        }
    }
    for one in within {
        write!(words, " within {one}").unwrap();
    }
    match tells {
        None => words.push_str(", told all"),
        Some(tells) => write!(words, ", told {}", tells.join(" ")).unwrap(),
    }
    write!(words, ", sets {}", sets.join(" ")).unwrap();
    if let Some(body) = body {
        write!(words, ", told {body} bytes").unwrap();
    }
    format!("{words} ({})", place(origin))
}

fn issuer(issuer: &JwtIssuer) -> String {
    let JwtIssuer {
        origin,
        issuer,
        audiences,
        from,
        forward,
        claims,
        keys,
    } = issuer;
    let audiences = audiences
        .as_ref()
        .map_or("anybody".into(), |it| it.join(", "));
    let mut words = format!("{issuer} for {audiences} ({})", place(origin));
    for from in from {
        words += &match from {
            TokenPlace::Header { name, prefix } => format!(" in {name}: {prefix}"),
            TokenPlace::Cookie(name) => format!(" in cookie {name}"),
        };
    }
    if *forward {
        words += " forwarded";
    }
    for told in claims {
        words += &format!(" {} as {}", told.claim, told.header);
    }
    match (&keys.source, &keys.jwks) {
        (Some(source), _) => {
            let KeySource { place, every, keep } = source;
            words + &format!(", keys of {place} every {every:?} for {keep:?}")
        }
        (None, Some(_)) => words + ", keys written",
        (None, None) => words + ", no keys",
    }
}

fn access_rule(rule: &AccessRule, story: &mut String) {
    let all = |callers: &[CallerMatch]| callers.iter().map(caller).collect::<Vec<_>>();
    let asked = |requests: &[RequestMatch]| requests.iter().map(request).collect::<Vec<_>>();
    let mut words = match &*rule.callers {
        [] => "everyone".to_owned(),
        callers => all(callers).join(" or "),
    };
    if !rule.within.is_empty() {
        let within = |it: &Within| match asked(&it.leaves).join(" or ") {
            leaves if leaves.is_empty() => request(&it.takes),
            leaves => format!("{} but not {leaves}", request(&it.takes)),
        };
        let all = rule.within.iter().map(within).collect::<Vec<_>>();
        words += &format!(", within {}", all.join(" or "));
    }
    if !rule.requests.is_empty() {
        words += &format!(": {}", asked(&rule.requests).join(" or "));
    }
    let except = [all(&rule.except.callers), asked(&rule.except.requests)].concat();
    if !except.is_empty() {
        words += &format!(", except {}", except.join(" or "));
    }
    if let Some(condition) = &rule.when {
        words += &format!(", when {condition}");
    }
    let (effect, place) = (rule.effect, place(&rule.origin));
    writeln!(story, "    {effect:?} {words} ({place})").unwrap();
}

fn caller(caller: &CallerMatch) -> String {
    let CallerMatch {
        trust_domain,
        namespace,
        service_account,
        block,
    } = caller;
    let mut words = Vec::new();
    words.extend(trust_domain.as_ref().map(|it| format!("domain {it}")));
    words.extend(namespace.as_ref().map(|it| format!("ns {it}")));
    words.extend(service_account.as_ref().map(|it| format!("sa {it}")));
    words.extend(block.map(|it| format!("{}/{}", it.address(), it.bits())));
    if words.is_empty() {
        "anyone".into()
    } else {
        words.join(" ")
    }
}

fn request(request: &RequestMatch) -> String {
    let RequestMatch {
        ports,
        methods,
        hosts,
        paths,
        headers,
        claims,
    } = request;
    let mut words = Vec::new();
    words.extend(ports.iter().map(|port| format!("port {port}")));
    words.extend(methods.iter().map(|method| method.to_string()));
    words.extend(hosts.iter().filter_map(host));
    words.extend(paths.iter().map(path));
    words.extend(headers.iter().map(ToString::to_string));
    words.extend(claims.iter().map(ToString::to_string));
    if words.is_empty() {
        "anything".into()
    } else {
        words.join(" ")
    }
}

fn tell(note: &Note, source: &Source, story: &mut String) {
    let Note {
        code,
        severity,
        origin,
        span,
        message,
        suggestion,
        in_force,
    } = note;
    let origin = origin.as_ref().unwrap();
    writeln!(
        story,
        "{severity:?} {code} {}  {} {}",
        code.slug(),
        origin.object,
        origin.pointer
    )
    .unwrap();
    let span = span.as_ref().unwrap();
    let (line, column) = (span.start.line, span.start.column as usize);
    let text = source.line(line).unwrap_or_default();
    let gutter = " ".repeat(line.to_string().len());
    let (before, marks) = (" ".repeat(column - 1), "^".repeat(span.width as usize));
    writeln!(story, "    {line} | {text}\n    {gutter} | {before}{marks}").unwrap();
    let suggestion = suggestion
        .as_ref()
        .map(|text| format!("; {text}"))
        .unwrap_or_default();
    writeln!(story, "    {message}{suggestion}\n    In force: {in_force}").unwrap();
}

fn status(resources: &Resources, notes: &Notes, story: &mut String) {
    for route in routes_of(resources) {
        writeln!(story, "\nstatus of {}", route.outline().reference()).unwrap();
        for parent in 0..route.parent_count() {
            let conditions = conditions(route, parent, notes);
            let conditions = conditions.iter().map(told_of).collect::<Vec<_>>();
            let conditions = if conditions.is_empty() {
                "not ours".into()
            } else {
                conditions.join(", ")
            };
            writeln!(story, "  parent {parent}: {conditions}").unwrap();
        }
    }
}

/// A condition, with what is said of a route that is accepted all the same.
fn told_of(condition: &Condition) -> String {
    let is_accepted = condition.kind == ConditionKind::Accepted && condition.holds;
    match condition.message.as_str() {
        message if is_accepted && !message.is_empty() => format!("{condition} ({message})"),
        _ => condition.to_string(),
    }
}

/// File and line, without the file.
fn place(origin: &Origin) -> String {
    match &origin.place {
        Some(place) => format!("{} {}:{}", origin.object, origin.pointer, place.line),
        None => format!("{} {}", origin.object, origin.pointer),
    }
}
