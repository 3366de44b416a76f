// How the map is arranged, without a browser: what must hold for every graph.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = fileURLToPath(new URL("../src/map/arrange.ts", import.meta.url));
const { outputFiles } = await build({ entryPoints: [source], bundle: true, write: false, format: "esm" });
const { arrange } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

const boxes = (...names) => names.map((id) => ({ id, namespace: id.split("/")[0], width: 160, height: 50 }));
const calls = (...edges) => edges.map((edge) => edge.split(" > "));
const shop = boxes("a/visitors", "a/web", "a/cart", "a/checkout", "a/payments", "a/store");
const shop_calls = calls(
  "a/visitors > a/web", "a/web > a/cart", "a/web > a/checkout", "a/checkout > a/cart", "a/checkout > a/payments", "a/cart > a/store",
);
const layer = (map, id) => (map.is_wide ? map.at.get(id).x : map.at.get(id).y);

// Who calls stands before whom it calls.
for (const shape of [0.5, 1, 2]) {
  const map = arrange(shop, shop_calls, shape);
  for (const [from, to] of shop_calls) assert.ok(layer(map, from) < layer(map, to), `${from} before ${to}`);
  apart(shop, map);
}

// A window that is wide or high gets a map that is.
const wide = arrange(shop, shop_calls, 4);
const high = arrange(shop, shop_calls, 0.4);
assert.ok(wide.width > wide.height && high.height > high.width);

// The same services and calls in any order make the same map.
const straight = arrange(shop, shop_calls, 1);
for (const turned of [arrange(shop.toReversed(), shop_calls, 1), arrange(shop, shop_calls.toReversed(), 1)]) {
  assert.deepEqual([...turned.at].sort(), [...straight.at].sort());
}

// What is added leaves what stood there in its layer and in its order.
const before = arrange(shop, shop_calls, 0.4);
const more = [...shop, ...boxes("a/mail", "a/audit")];
const after = arrange(more, [...shop_calls, ...calls("a/checkout > a/mail", "a/mail > a/audit")], 0.4, before);
for (const { id } of shop) assert.equal(layer(after, id), layer(before, id), `${id} stays in its layer`);
const across = (map, id) => (map.is_wide ? map.at.get(id).y : map.at.get(id).x);
assert.equal(
  across(after, "a/cart") < across(after, "a/payments"),
  across(before, "a/cart") < across(before, "a/payments"),
);
apart(more, after);

// Cycles, callers of themselves, services that nobody calls, and callers of what is not there.
const odd = boxes("a/x", "a/y", "a/alone");
apart(odd, arrange(odd, calls("a/x > a/y", "a/y > a/x", "a/x > a/x", "a/x > a/gone"), 1));
arrange([], [], 1);

// A crowd: namespaces lie apart, and each holds what belongs to it.
let seed = 7;
const chance = (below) => ((seed = (seed * 1103515245 + 12345) % 2147483648) * below) / 2147483648 | 0;
const crowd = boxes(...Array.from({ length: 300 }, (_, at) => `team-${at % 12}/service-${at}`));
const many = Array.from({ length: 1500 }, () => [crowd[chance(300)].id, crowd[chance(300)].id]);
const large = arrange(crowd, many, 1.7);
apart(crowd, large);
apart(
  large.areas.map((area) => ({ ...area, id: area.namespace })),
  { at: new Map(large.areas.map(({ namespace, x, y, width, height }) => [namespace, { x: x + width / 2, y: y + height / 2 }])) },
);
for (const { id, namespace } of crowd) {
  const [{ x, y }, area] = [large.at.get(id), large.areas.find((area) => area.namespace === namespace)];
  assert.ok(x > area.x && x < area.x + area.width && y > area.y && y < area.y + area.height, `${id} lies in ${namespace}`);
}

/** Nothing lies on anything else. */
function apart(nodes, { at }) {
  for (const [index, a] of nodes.entries()) {
    for (const b of nodes.slice(0, index)) {
      const [p, q] = [at.get(a.id), at.get(b.id)];
      const clear = Math.abs(p.x - q.x) * 2 >= a.width + b.width || Math.abs(p.y - q.y) * 2 >= a.height + b.height;
      assert.ok(clear, `${a.id} lies on ${b.id}`);
    }
  }
}
