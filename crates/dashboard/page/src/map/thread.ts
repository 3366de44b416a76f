// The line of a thread: from one service's side to the other's, smooth, past what lies between.
import type { Arrangement, Point } from "./arrange";

export type Line = {
  /** All of it as a path of few parts: what a picture costs is the parts of its paths. */
  whole: string;
  /** Points along it, at even distances of so much. */
  points: Point[];
  step: number;
  length: number;
  /** The direction it ends in, in degrees. */
  end: number;
};

export type Sized = { id: string; width: number; height: number };

/** How far apart points along a line are: near enough for strands, and where there are too many for these. */
export const FINE = 6;
export const COARSE = 26;
/** Room for words comes in steps of so much. */
const ROOM = 32;
/** How far two lines at a side are apart, at most. */
const PORT = 26;

/** The lines of all edges, by id. */
export function lines(nodes: Map<string, Sized>, edges: { id: string; from: string; to: string }[], map: Arrangement, step: number): Map<string, Line> {
  const ports = ports_of(nodes, edges, map);
  const lines = new Map<string, Line>();
  for (const edge of edges) {
    const [start, end] = [ports.get(`${edge.id}\nfrom`), ports.get(`${edge.id}\nto`)];
    if (start && end) lines.set(edge.id, line(start, map.bends.get(edge.id) ?? [], end, map.is_wide, step));
  }
  return lines;
}

/** Where each edge leaves and arrives: spread over a side, in the order of where they lead. */
function ports_of(nodes: Map<string, Sized>, edges: { id: string; from: string; to: string }[], map: Arrangement): Map<string, Point> {
  const sides = new Map<string, { key: string; node: string; sign: number; aim: number }[]>();
  const across = (point: Point) => (map.is_wide ? point.y : point.x);
  for (const { id, from, to } of edges) {
    const [first, last] = [map.at.get(from), map.at.get(to)];
    if (!first || !last) continue;
    const bends = map.bends.get(id) ?? [];
    const add = (key: string, node: string, sign: number, aim: Point) => {
      const side = `${node}\n${sign}`;
      sides.set(side, [...(sides.get(side) ?? []), { key, node, sign, aim: across(aim) }]);
    };
    add(`${id}\nfrom`, from, 1, bends[0] ?? last);
    add(`${id}\nto`, to, -1, bends.at(-1) ?? first);
  }
  const ports = new Map<string, Point>();
  for (const side of sides.values()) {
    side.sort((a, b) => a.aim - b.aim);
    side.forEach(({ key, node, sign }, index) => {
      const [at, size] = [map.at.get(node), nodes.get(node)];
      if (!at || !size) return;
      const room = (map.is_wide ? size.height : size.width) - 24;
      const shift = (index - (side.length - 1) / 2) * Math.min(PORT, room / side.length);
      ports.set(key, map.is_wide
        ? { x: at.x + (sign * size.width) / 2, y: at.y + shift }
        : { x: at.x + shift, y: at.y + (sign * size.height) / 2 });
    });
  }
  return ports;
}

function line(start: Point, bends: Point[], end: Point, is_wide: boolean, step: number): Line {
  const stops = [start, ...bends, end];
  const raw: Point[] = [start];
  let whole = `M${told(start)}`;
  for (let at = 1; at < stops.length; at++) {
    const [a, b] = [stops[at - 1], stops[at]] as [Point, Point];
    const ahead = is_wide ? b.x - a.x : b.y - a.y;
    // One that leads back swings out first, so that it is seen where it leaves and where it arrives.
    const reach = ahead > 0 ? ahead / 2 : 60 - ahead / 6;
    const [c, d] = is_wide
      ? [{ x: a.x + reach, y: a.y }, { x: b.x - reach, y: b.y }]
      : [{ x: a.x, y: a.y + reach }, { x: b.x, y: b.y - reach }];
    whole += `C${told(c)} ${told(d)} ${told(b)}`;
    const parts = Math.max(6, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / (2 * step)));
    for (let part = 1; part <= parts; part++) raw.push(bezier(a, c, d, b, part / parts));
  }
  return { whole, ...evenly(raw, step) };
}

function bezier(a: Point, b: Point, c: Point, d: Point, t: number): Point {
  const u = 1 - t;
  const [p, q, r, s] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return { x: p * a.x + q * b.x + r * c.x + s * d.x, y: p * a.y + q * b.y + r * c.y + s * d.y };
}

function evenly(raw: Point[], step: number): Omit<Line, "whole"> {
  const points: Point[] = [];
  let [length, next] = [0, 0];
  for (let at = 1; at < raw.length; at++) {
    const [a, b] = [raw[at - 1], raw[at]] as [Point, Point];
    const far = Math.hypot(b.x - a.x, b.y - a.y);
    while (next <= length + far && far > 0) {
      const t = (next - length) / far;
      points.push({ x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t });
      next += step;
    }
    length += far;
  }
  const last = raw.at(-1) as Point;
  points.push(last);
  const before = points.at(-3) ?? points[0] ?? last;
  return { points, step, length, end: (Math.atan2(last.y - before.y, last.x - before.x) * 180) / Math.PI };
}

/** The line as a path, without its last `short` units. */
export function path({ whole, points, step }: Line, short = 0): string {
  const missing = Math.round(short / step);
  if (missing === 0) return whole;
  const kept = points.slice(0, Math.max(2, points.length - missing));
  return kept.length < 2 ? "" : `M${kept.map(told).join("L")}`;
}

const WAVE = 34;
const SWING = 2.6;

/**
 * Two strands that twist around the line, as the threads of a leno weave do: where one is above, the other
 * is below. They meet at both ends.
 */
export function strands({ points, step, length }: Line, short = 0): [string, string] {
  const kept = points.slice(0, Math.max(2, points.length - Math.round(short / step)));
  const span = Math.max(1, length - short);
  const waves = Math.max(1, Math.round(span / WAVE));
  const [over, under]: [Point[], Point[]] = [[], []];
  kept.forEach((point, index) => {
    const [a, b] = [kept[Math.max(0, index - 1)], kept[Math.min(kept.length - 1, index + 1)]] as [Point, Point];
    const far = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const normal = { x: -(b.y - a.y) / far, y: (b.x - a.x) / far };
    const t = index / (kept.length - 1);
    const swing = SWING * Math.sin(t * waves * 2 * Math.PI);
    over.push({ x: point.x + normal.x * swing, y: point.y + normal.y * swing });
    under.push({ x: point.x - normal.x * swing, y: point.y - normal.y * swing });
  });
  return [smooth(over), smooth(under)];
}

/** A path through the middles between points, bent at the points. */
function smooth(points: Point[]): string {
  const [first, ...rest] = points as [Point, ...Point[]];
  let told_path = `M${told(first)}`;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    told_path += next ? `Q${told(point)} ${told({ x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 })}` : `L${told(point)}`;
  });
  return told_path;
}

const told = ({ x, y }: Point) => `${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;

/** The edge whose line is nearest to a point, within `reach`. */
export function nearest(lines: Map<string, Line>, { x, y }: Point, reach: number): string | null {
  let found: string | null = null;
  let least = reach;
  for (const [id, { points }] of lines) {
    for (const point of points) {
      const far = Math.max(Math.abs(point.x - x), Math.abs(point.y - y));
      if (far < least) [found, least] = [id, far];
    }
  }
  return found;
}

/**
 * Where along lines words of these sizes stand: near the middle, clear of each other and of `taken`. Words that grow or
 * shrink by a letter stay where they are.
 */
export function labels(
  wanted: { id: string; width: number; height: number }[],
  lines: Map<string, Line>,
  taken: { x: number; y: number; width: number; height: number }[],
): Map<string, Point & { width: number }> {
  const places = new Map<string, Point & { width: number }>();
  const full = [...taken];
  for (const { id, width, height } of wanted) {
    const points = lines.get(id)?.points;
    if (!points || points.length === 0) continue;
    const at = (share: number) => points[Math.round(share * (points.length - 1))] as Point;
    const room = Math.ceil(width / ROOM) * ROOM;
    const is_free = ({ x, y }: Point) =>
      full.every((other) => Math.abs(other.x - x) * 2 > other.width + room + 4 || Math.abs(other.y - y) * 2 > other.height + height + 4);
    const share = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.2, 0.8].find((share) => is_free(at(share))) ?? 0.5;
    const place = at(share);
    places.set(id, { ...place, width });
    full.push({ ...place, width: room, height });
  }
  return places;
}
