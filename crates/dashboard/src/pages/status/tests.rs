use leno_admin::{
    Edge, FailedCall, Finding, Followers, Since, Status, Step, Workload, WorkloadState,
};

use super::*;

fn overview() -> Overview {
    Overview {
        status: Status {
            context: "shop.local".into(),
            revision: 7,
            proxies: 1,
            objects: 9,
            problems: 0,
            now: "2026-03-01T12:04:31.250Z".into(),
        },
        change: None,
        followers: Followers::default(),
        certificate: None,
        findings: Vec::new(),
        workloads: vec![workload("web", WorkloadState::Up)],
        traffic: Some(Traffic {
            seconds: 10.0,
            edges: vec![edge(0, 0)],
            ..Traffic::default()
        }),
        failed: Some(Vec::new()),
        next: vec![Step {
            command: "leno tap".into(),
            shows: "calls as they happen".into(),
        }],
    }
}

fn workload(name: &str, state: WorkloadState) -> Workload {
    Workload {
        name: format!("default/{name}"),
        state,
        what: format!("./{name}"),
        trouble: None,
        place: None,
        published: vec!["http://localhost:3000".into()],
        next: None,
    }
}

fn edge(failed: u64, plain: u64) -> Edge {
    Edge {
        from: "default/web".into(),
        to: "default/cart".into(),
        calls: 1_240,
        failed,
        mtls: 1_240 - plain,
        plain,
        open: plain,
        sent: 1_000,
        received: 30_000,
        p50_us: Some(3_100),
        ..Edge::default()
    }
}

fn finding(severity: &str) -> Finding {
    Finding {
        code: "C113".into(),
        slug: "backend-not-found".into(),
        severity: severity.into(),
        fault: "configuration".into(),
        object: Some("HTTPRoute shop/cart".into()),
        pointer: None,
        file: Some("routes/cart.yaml".into()),
        line: Some(18),
        column: Some(11),
        width: Some(7),
        text: Some("  - name: cart-v3 # new".into()),
        message: "no Service cart-v3 in shop".into(),
        suggestion: Some("did you mean cart-v2?".into()),
        in_force: "10 % of calls to cart answer 500".into(),
        since: Some(Since {
            at: "2026-03-01T02:38:00.000Z".into(),
            revision: Some(7),
            who: Some("ops".into()),
        }),
        next: None,
    }
}

/// What is left of a page for somebody who sees neither style nor markup: a line for each block.
fn read(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let mut text = String::new();
    for part in body.split('<').skip(1) {
        let (tag, words) = part.split_once('>').unwrap();
        let name = tag.split(' ').next().unwrap().trim_start_matches('/');
        if matches!(
            name,
            "p" | "h1" | "h2" | "h3" | "tr" | "div" | "pre" | "button"
        ) {
            text.push('\n');
        } else if matches!(name, "td" | "th" | "dt" | "dd" | "code") {
            text.push(' ');
        }
        text.push_str(words.trim_matches('\n'));
    }
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = text.lines().map(words).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(overview: &Overview, expect: &str) {
    assert_eq!(read(&page(overview)), expect.trim());
}

#[test]
fn a_mesh_that_is_well_says_so_in_a_line() {
    check(
        &overview(),
        "
Leno
shop.local
revision 7 · 1 proxy · as of 12:04:31 UTC
✓ All is well the workload is up 1,240 calls in 10 s, all encrypted
Workloads
Name State What Reached at
web up ./web http://localhost:3000
Calls last 10 s
From To Per second Failed Half within 99 % within Open Bytes per second Encrypted
web cart 124.0 0 % 3.1 ms – – 3.1 kB yes
Calls that failed
None.
Go on with
leno tap calls as they happen",
    );
}

#[test]
fn what_is_wrong_comes_first() {
    let mut overview = overview();
    overview.findings = vec![finding("warning"), finding("error"), finding("info")];
    let mut mail = workload("mail", WorkloadState::Failed);
    mail.trouble = Some("exit 127: mailer: not found".into());
    mail.place = Some("Procfile:3".into());
    mail.next = Some("leno logs mail".into());
    mail.published.clear();
    overview.workloads.push(mail);
    overview.traffic = None;
    overview.failed = None;
    overview.next.clear();
    check(
        &overview,
        "
Leno
shop.local
revision 7 · 1 proxy · as of 12:04:31 UTC
✗ 2 things are wrong 1 of 2 workloads are up
To mend
✗Error: mail does not run
Procfile:3
exit 127: mailer: not found
Next leno logs mail
✗Error: C113 backend-not-found HTTPRoute shop/cart since 02:38 UTC, revision 7 (ops)
routes/cart.yaml:18:11
18 - name: cart-v3 # new
no Service cart-v3 in shop; did you mean cart-v2?
In force 10 % of calls to cart answer 500
Fault configuration
Next leno diff 6 7 leno rollback 6
!Warning: C113 backend-not-found HTTPRoute shop/cart since 02:38 UTC, revision 7 (ops)
routes/cart.yaml:18:11
18 - name: cart-v3 # new
no Service cart-v3 in shop; did you mean cart-v2?
In force 10 % of calls to cart answer 500
Fault configuration
Next leno diff 6 7 leno rollback 6
Workloads
Name State What Reached at
web up ./web http://localhost:3000
mail failed ./mail –",
    );
}

#[test]
fn calls_that_fail_are_told_with_code_and_fault() {
    let mut overview = overview();
    overview.traffic = Some(Traffic {
        seconds: 150.0,
        edges: vec![edge(31, 930)],
        ..Traffic::default()
    });
    overview.failed = Some(vec![
        FailedCall {
            id: "7c1e4b02".into(),
            at: "2026-03-01T12:04:30.501Z".into(),
            from: "default/web".into(),
            to: "shop/payments".into(),
            request: "POST /charge".into(),
            status: Some(403),
            took_us: Some(2_000),
            fault: "caller".into(),
            code: Some("R003".into()),
            why: "no-allow-rule".into(),
            count: 1,
        },
        FailedCall {
            id: "7c1e4b03".into(),
            at: "soon".into(),
            from: "unknown".into(),
            to: "shop/db".into(),
            request: "tcp".into(),
            status: None,
            took_us: None,
            fault: "service".into(),
            code: None,
            why: "the service answered".into(),
            count: 1,
        },
    ]);
    let told = read(&page(&overview));
    for line in [
        "! Some calls fail the workload is up 1,240 calls in 2 min, 25 % encrypted",
        "web cart 8.3 2.5 % 3.1 ms – 930 207 B 25 %",
        "12:04:30.501 web shop/payments POST /charge 403 2.0 ms R003 no-allow-rule caller",
        "soon unknown shop/db tcp – – the service answered service",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n\n{told}");
    }
}

#[test]
fn a_mesh_that_cannot_be_asked_says_what_holds() {
    let failure = Failure {
        advice: Some("Start it: leno control".into()),
        ..Failure::coded(leno_model::Code::D001, "nobody answers")
    };
    assert_eq!(
        read(&unknown(&failure)),
        "Leno
How the mesh is cannot be found out
D001 nobody answers
Start it: leno control
What was in force before is in force: proxies go on without being told anew."
    );
}

/// Puts the same text wherever something from outside can stand.
fn hostile(text: &str) -> Overview {
    let text = || text.to_owned();
    let mut overview = overview();
    overview.status.context = text();
    overview.status.now = text();
    let mut found = finding("error");
    for field in [
        &mut found.code,
        &mut found.slug,
        &mut found.fault,
        &mut found.message,
    ] {
        *field = text();
    }
    found.in_force = text();
    found.next = Some(text());
    found.since = Some(Since {
        at: text(),
        revision: Some(1),
        who: Some(text()),
    });
    for field in [
        &mut found.object,
        &mut found.file,
        &mut found.text,
        &mut found.suggestion,
    ] {
        *field = Some(text());
    }
    overview.findings = vec![found];
    for (workload, state) in [WorkloadState::Failed, WorkloadState::Up]
        .into_iter()
        .enumerate()
    {
        overview.workloads.push(Workload {
            name: format!("{workload}{}", text()),
            state,
            what: text(),
            trouble: Some(text()),
            place: Some(text()),
            published: vec![text(), format!("http://{}", text())],
            next: Some(text()),
        });
    }
    let mut edge = edge(1, 1);
    (edge.from, edge.to) = (text(), text());
    overview.traffic = Some(Traffic {
        seconds: f64::NAN,
        edges: vec![edge],
        ..Traffic::default()
    });
    overview.failed = Some(vec![FailedCall {
        id: text(),
        at: text(),
        from: text(),
        to: text(),
        request: text(),
        status: Some(0),
        took_us: Some(u64::MAX),
        fault: text(),
        code: Some(text()),
        why: text(),
        count: u64::MAX,
    }]);
    overview.next = vec![Step {
        command: text(),
        shows: text(),
    }];
    overview
}

#[test]
fn nothing_from_outside_is_markup() {
    let tags = |page: &str| page.matches('<').count();
    let quotes = |page: &str| page.matches('"').count();
    let plain = page(&hostile("harmless"));
    for text in [
        "<script src=//x></script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='x",
        "</title><base href=//x>",
        "--><!-- ]]>",
        "&lt;script&gt;",
        "javascript:alert(1)",
        "\u{202e}\u{0}\u{1b}[2J",
    ] {
        let page = page(&hostile(text));
        assert_eq!(tags(&page), tags(&plain), "{text}");
        assert_eq!(quotes(&page), quotes(&plain), "{text}");
        assert!(!page.contains("href=\"javascript:"), "{text}");
    }
}
