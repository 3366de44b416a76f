// The way over the map by arrows.
import type { Point } from "./arrange";

const AHEAD = { left: { x: -1, y: 0 }, right: { x: 1, y: 0 }, up: { x: 0, y: -1 }, down: { x: 0, y: 1 } };

/** What lies next in a direction from where one is; the first of all if one is nowhere. */
export function toward(places: Map<string, Point>, from: string | null, direction: keyof typeof AHEAD): string | undefined {
  const here = from === null ? undefined : places.get(from);
  if (!here) return [...places].sort(([, a], [, b]) => a.x + a.y - b.x - b.y)[0]?.[0];
  const ahead = AHEAD[direction];
  let found: string | undefined;
  let least = Infinity;
  for (const [id, place] of places) {
    const [dx, dy] = [place.x - here.x, place.y - here.y];
    const far = dx * ahead.x + dy * ahead.y;
    const aside = Math.abs(dx * ahead.y) + Math.abs(dy * ahead.x);
    if (far < 8 || aside > far * 2.5) continue;
    const cost = far + aside * 1.8;
    if (cost < least) [found, least] = [id, cost];
  }
  return found;
}
