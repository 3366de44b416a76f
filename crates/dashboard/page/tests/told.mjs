// What the pages make of answers, without a browser: differences, filters, pictures of lines, lives.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const resolveDir = fileURLToPath(new URL("../src/", import.meta.url));
const contents = ["parts/lines", "parts/finding", "calls/which", "trust/life", "trust/believed", "service/series", "service/list"]
  .map((path) => `export * from "./${path}";`)
  .join("\n");
const { outputFiles } = await build({ stdin: { contents, resolveDir, loader: "ts" }, bundle: true, write: false, format: "esm" });
const page = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

// A difference holds both texts, whatever they are, and says no more than it must.
const signed = (before, after) => page.differing(before, after).map(({ sign, text }) => sign + text);
assert.deepEqual(signed("a\nb\nc\n", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
assert.deepEqual(signed("", "a\n"), ["+a"]);
assert.deepEqual(signed("a\n", ""), ["-a"]);
assert.deepEqual(signed("a\n", "a\n"), [" a"]);
let seed = 7;
const dice = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
for (let round = 0; round < 500; round++) {
  const [before, after] = [0, 0].map(() => Array.from({ length: dice(7) }, () => "abc"[dice(3)]));
  const lines = page.differing(before.join("\n"), after.join("\n"));
  const without = (sign) => lines.filter((line) => line.sign !== sign).map(({ text }) => text);
  assert.deepEqual([without("+"), without("-")], [before, after]);
  assert.equal(lines.filter(({ sign }) => sign === " ").length, common(before, after));
}
const far = page.excerpt(page.differing("1\n2\n3\n4\n5\n6\n7", "1\n2\n3\n4\n5\n6\n8"));
assert.deepEqual(far.map((line) => line && line.sign + line.text), [null, " 5", " 6", "-7", "+8"]);

/** How many lines two texts have in common at most, by trying. */
function common([first, ...rest], other) {
  if (first === undefined) return 0;
  const at = other.indexOf(first);
  const without = common(rest, other);
  return at < 0 ? without : Math.max(without, 1 + common(rest, other.slice(at + 1)));
}

// Filters mean what the options of `leno tap` mean.
const asked = (query) => JSON.parse(JSON.stringify(page.which(new URLSearchParams(query))));
assert.deepEqual(asked(""), {});
assert.deepEqual(asked("failed=1&from=web&to=shop/cart"), { failed: true, from: "default/web", to: "shop/cart" });
assert.deepEqual(asked("method=post&path=/items&code=r003&status=5xx"), { method: "POST", path: "/items", status: [500, 599], code: "R003" });
assert.deepEqual(asked("from=unknown&status=400-499"), { from: "unknown", status: [400, 499] });
assert.deepEqual(asked("status=teapot&path="), {});
const typed = (query) => page.command(new URLSearchParams(query));
assert.equal(typed(""), "leno tap --last 200");
assert.equal(typed("of=shop/cart&failed=1&path=/a"), "leno tap shop/cart --last 200 --failed --path /a");
assert.equal(typed("path=/it's; rm"), "leno tap --last 200 --path '/it'\\''s; rm'");

// A call of gRPC says how gRPC answered it, also where that has no name.
const answers = [{ status: 503 }, { status: 200, grpc_status: 5 }, { status: 200, grpc_status: 0 }, { status: 200, grpc_status: 99 }, {}];
assert.deepEqual(answers.map(page.answer), ["503", "NOT_FOUND", "OK", "99", "-"]);

// A caret stands under what is meant, also where the line is cut.
const finding = { text: "\t- name: cart-v3", column: 10, width: 7 };
assert.deepEqual(page.picture(finding), { line: " - name: cart-v3", caret: `${" ".repeat(9)}^^^^^^^` });
const long = page.picture({ text: `${"x".repeat(200)}here${"y".repeat(200)}`, column: 201, width: 4 });
assert.equal(long.line.slice(long.caret.indexOf("^")).startsWith("here"), true);
assert.equal(page.picture({ ...finding, text: null }), null);
const brought = { code: "C113", since: { at: "", revision: 417, who: "ops" } };
assert.deepEqual(page.commands(brought), ["leno diff 416 417", "leno rollback 416"]);
assert.deepEqual(page.commands({ code: "C113", since: { revision: 1 } }), ["leno explain C113"]);
assert.deepEqual(page.commands({ code: "T007", next: "leno certs list · leno explain T007" }), ["leno certs list", "leno explain T007"]);

// A life begins when it was renewed, or a lifetime before its end; it is late behind its renewal.
const noon = Date.parse("2026-11-20T12:00:00Z");
const ends = "2026-11-20T18:00:00Z";
assert.deepEqual(page.rest("2026-11-20T06:00:00Z", ends, noon), { share: 0.5, is_late: false });
assert.deepEqual(page.rest(null, ends, noon, 24 * 3600), { share: 0.25, is_late: true });
assert.deepEqual(page.rest(null, "2026-11-20T11:00:00Z", noon, 3600), { share: 0, is_late: true });
const order = page.soonest_first([{ identity: "a", ends: "3" }, { identity: "b", ends: "1" }, { identity: "c", ends: "9", failed: "no" }]);
assert.deepEqual(order.map(({ identity }) => identity), ["c", "b", "a"]);

// A root that is announced waits for those who are silent first, then for other trust domains.
const announced = { step: "activate", due: "?", holders: 3, confirmed: 2, silent: [], abroad: "?" };
const late = { name: "", identity: "", seen: "?", ends: "?" };
assert.equal(page.next_step({ ...announced, silent: [late] }), "The announced root signs at ? at the latest: 2 of 3 holders have confirmed it.");
assert.match(page.next_step(announced), /^The announced root signs at \?, when other trust domains/);
assert.equal(page.next_step({ ...announced, holders: 1, confirmed: 1, abroad: undefined }), "The announced root signs at once: 1 of 1 holder has confirmed it.");
const peer = { roots: 0, proves_tokens: false, got: null };
assert.equal(page.keys(peer), "no keys yet: nobody of it is believed");
assert.equal(page.keys({ ...peer, roots: 2, proves_tokens: true }), "2 roots and keys for tokens, as they are written");
assert.equal(page.keys({ ...peer, roots: 1, got: "?" }), "1 root, got ?");

// What went to a service is told step by step; where nothing went there is no time to tell.
const edge = (to, calls, failed, p50_us = 1000) => ({ from: "", to, calls, failed, mtls: calls, plain: 0, open: 0, sent: 1, received: 2, p50_us, p99_us: 9000 });
const carried = { steps: [{ from: ends, seconds: 10, edges: [edge("shop/cart", 20, 5), edge("shop/web", 7, 7)] }, { from: ends, seconds: 10, edges: [] }, { from: ends, seconds: 0, edges: [] }] };
const { rate, failed, half } = page.signals(carried, "shop/cart");
assert.deepEqual([rate.values, failed.values, half.values], [[2, 0, null], [0.25, null, null], [1000, null, null]]);
assert.deepEqual([0.3, 1, 7, 11, 230].map(page.round_up), [0.5, 1, 10, 20, 500]);
const into = page.into([edge("shop/cart", 3, 1, 200), edge("shop/cart", 5, 0, 700)], "shop/cart");
assert.deepEqual([into.calls, into.failed, into.p50_us], [8, 1, 700]);
