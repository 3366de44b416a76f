// What a few letters may mean.
import type { Overview } from "../api/types";
import { to_call, to_service } from "./route.svelte";

export type Found = { kind: string; name: string; address: string };

const MOST = 12;

/** What is called like `words`: what begins with them before what contains them. */
export function find(words: string, overview: Overview | undefined, pages: Found[]): Found[] {
  const wanted = words.trim().toLowerCase();
  const is_id = /^[0-9a-f]{4,32}$/.test(wanted);
  const all = [...pages, ...(overview ? things(overview) : [])];
  const ranked = all
    .map((found) => ({ found, rank: rank(found.name.toLowerCase(), wanted) }))
    .filter(({ rank }) => rank < NOT)
    .sort((a, b) => a.rank - b.rank)
    .map(({ found }) => found);
  const call = is_id ? [{ kind: "the call of this id", name: wanted, address: to_call(wanted) }] : [];
  const different = new Map([...ranked, ...call].map((found) => [found.address, found]));
  return [...different.values()].slice(0, MOST);
}

const NOT = 3;

function rank(name: string, wanted: string): number {
  const bare = name.slice(name.indexOf("/") + 1);
  if (bare.startsWith(wanted)) return 0;
  if (name.startsWith(wanted)) return 1;
  return name.includes(wanted) ? 2 : NOT;
}

function things(overview: Overview): Found[] {
  const names = new Set<string>();
  for (const edge of overview.traffic?.edges ?? []) names.add(edge.from).add(edge.to);
  for (const { name } of overview.workloads) names.add(name.includes("/") ? name : `default/${name}`);
  const services = [...names].sort().map((name) => ({ kind: "service", name, address: to_service(name) }));
  const calls = (overview.failed ?? []).map((call) => ({
    kind: `failed call, ${call.why}`,
    name: `${call.id} ${call.request}`,
    address: to_call(call.id),
  }));
  return [...services, ...calls];
}
