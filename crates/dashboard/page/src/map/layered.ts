// Arranges what calls each other in layers: who calls stands before whom it calls, with few crossings
// and short ways. Deterministic, and true to an earlier arrangement: what was there keeps its layer and
// its place among its neighbours.

/** Something to be placed, by its extent along the layers' direction and across it. */
export type Box = { id: string; along: number; across: number };

/** Where things are. Coordinates of boxes are those of their middle. */
export type Layered = {
  at: Map<string, { along: number; across: number; layer: number; order: number; is_alone: boolean }>;
  /** The points that an edge passes between its ends, by `edge_id`; none for most. */
  bends: Map<string, { along: number; across: number }[]>;
  along: number;
  across: number;
};

export const edge_id = (from: string, to: string) => `${from}\n${to}`;

type Spacing = { layers: number; boxes: number };

/** A box, or a point of an edge that passes through its layer. */
type Slot = {
  id: string;
  layer: number;
  along: number;
  across: number;
  before: Slot[];
  after: Slot[];
  /** Where it stands in its layer, and where its middle is. */
  order: number;
  middle: number;
};

const SWEEPS = 8;
const RELAXATIONS = 10;
/** How much room an edge takes that passes. */
const PASS = 18;
/** How many layers are never too many. */
const LAYERS = 7;

export function layered(
  boxes: Box[],
  edges: [string, string][],
  spacing: Spacing,
  known?: Layered,
): Layered {
  const ids = boxes.map((box) => box.id);
  const forward = without_cycles(ids, edges, known);
  const layers = compressed(layers_of(ids, forward, known), ids.length);
  const slots = new Map<string, Slot>();
  for (const box of boxes) {
    slots.set(box.id, { ...box, layer: layers.get(box.id) ?? 0, before: [], after: [], order: 0, middle: 0 });
  }
  const passes = new Map<string, Slot[]>();
  for (const [from, to, is_turned] of forward) {
    const [first, last] = [slots.get(from), slots.get(to)];
    if (!first || !last || last.layer <= first.layer) continue;
    const way = join(first, last);
    if (way.length > 0) passes.set(is_turned ? edge_id(to, from) : edge_id(from, to), is_turned ? way.toReversed() : way);
  }
  const rows = rows_of([...slots.values(), ...[...passes.values()].flat()], known);
  uncross(rows);
  const along = place(rows, spacing);
  const at = new Map(
    [...slots].map(([id, slot]) => {
      const is_alone = slot.before.length + slot.after.length === 0;
      return [id, { ...point(slot, along), layer: slot.layer, order: slot.order, is_alone }];
    }),
  );
  const bends = new Map([...passes].map(([id, way]) => [id, way.map((slot) => point(slot, along))]));
  const last = rows.length - 1;
  return {
    at,
    bends,
    along: rows.length === 0 ? 0 : (along[last] ?? 0) + thickness(rows[last] ?? []) / 2,
    across: Math.max(0, ...rows.flat().map((slot) => slot.middle + slot.across / 2)),
  };
}

const point = (slot: Slot, along: number[]) => ({ along: along[slot.layer] ?? 0, across: slot.middle });

type Forward = [from: string, to: string, is_turned: boolean];

/** The edges, those turned that would close a cycle. */
function without_cycles(ids: string[], edges: [string, string][], known?: Layered): Forward[] {
  const after = new Map<string, string[]>(ids.map((id) => [id, []]));
  const called = new Set<string>();
  for (const [from, to] of edges) {
    if (from === to || !after.has(to)) continue;
    after.get(from)?.push(to);
    called.add(to);
  }
  const layer = (id: string) => known?.at.get(id)?.layer ?? Infinity;
  const roots = ids.toSorted((a, b) => Number(called.has(a)) - Number(called.has(b)) || layer(a) - layer(b));
  const state = new Map<string, "open" | "done">();
  const forward: Forward[] = [];
  const visit = (id: string) => {
    state.set(id, "open");
    for (const next of after.get(id) ?? []) {
      if (state.get(next) === "open") {
        forward.push([next, id, true]);
        continue;
      }
      forward.push([id, next, false]);
      if (!state.has(next)) visit(next);
    }
    state.set(id, "done");
  };
  for (const id of roots) if (!state.has(id)) visit(id);
  return forward;
}

/**
 * The layer of each: behind all that call it, and who is called by nobody right before whom it calls. What
 * has to do with nobody lies behind all others.
 */
function layers_of(ids: string[], forward: Forward[], known?: Layered): Map<string, number> {
  const [before, after] = [new Map<string, string[]>(), new Map<string, string[]>()];
  for (const [from, to] of forward) {
    before.set(to, [...(before.get(to) ?? []), from]);
    after.set(from, [...(after.get(from) ?? []), to]);
  }
  const layers = new Map<string, number>();
  const layer_of = (id: string): number => {
    const found = layers.get(id);
    if (found !== undefined) return found;
    const behind = 1 + Math.max(-1, ...(before.get(id) ?? []).map(layer_of));
    const earlier = known?.at.get(id);
    layers.set(id, Math.max(behind, earlier && !earlier.is_alone ? earlier.layer : 0));
    return layers.get(id) ?? 0;
  };
  ids.forEach(layer_of);
  for (const id of ids) {
    const next = after.get(id);
    if (!before.has(id) && next) layers.set(id, Math.max(0, Math.min(...next.map(layer_of)) - 1));
  }
  const alone = ids.filter((id) => !before.has(id) && !after.has(id));
  const last = alone.length < ids.length ? 1 + Math.max(...layers.values()) : 0;
  for (const id of alone) layers.set(id, last);
  return layers;
}

/** The same layers, fewer where they are many for so few boxes: long chains lie together. */
function compressed(layers: Map<string, number>, boxes: number): Map<string, number> {
  const count = 1 + Math.max(0, ...layers.values());
  const most = Math.max(LAYERS, Math.ceil(Math.sqrt(boxes) * 1.4));
  if (count <= most) return layers;
  return new Map([...layers].map(([id, layer]) => [id, Math.floor((layer * most) / count)]));
}

/** Puts a point into each layer between two boxes. */
function join(first: Slot, last: Slot): Slot[] {
  const way: Slot[] = [];
  let before = first;
  for (let layer = first.layer + 1; layer < last.layer; layer++) {
    const id = `${edge_id(first.id, last.id)}\n${layer}`;
    const slot = { id, layer, along: 0, across: PASS, before: [before], after: [], order: 0, middle: 0 };
    before.after.push(slot);
    way.push(slot);
    before = slot;
  }
  before.after.push(last);
  last.before.push(before);
  return way;
}

function rows_of(slots: Slot[], known?: Layered): Slot[][] {
  const rows: Slot[][] = [];
  for (const slot of slots) (rows[slot.layer] ??= []).push(slot);
  const filled = Array.from(rows, (row) => row ?? []);
  for (const row of filled) {
    const order = (slot: Slot) => known?.at.get(slot.id)?.order ?? Infinity;
    // `Infinity - Infinity` is no number, and leaves the order as it is.
    row.sort((a, b) => order(a) - order(b) || 0);
    number(row);
  }
  return filled;
}

const number = (row: Slot[]) => row.forEach((slot, order) => (slot.order = order));

/** Orders each layer by where the neighbours of its slots stand, and keeps the best of several sweeps. */
function uncross(rows: Slot[][]) {
  let best = rows.map((row) => [...row]);
  let least = crossings(rows);
  for (let sweep = 0; sweep < SWEEPS && least > 0; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.toReversed()) {
      const wants = new Map(row.map((slot) => [slot, mean(down ? slot.before : slot.after) ?? slot.order]));
      row.sort((a, b) => (wants.get(a) ?? 0) - (wants.get(b) ?? 0));
      number(row);
    }
    const count = crossings(rows);
    if (count < least) {
      least = count;
      best = rows.map((row) => [...row]);
    }
  }
  best.forEach((row, layer) => {
    rows[layer] = row;
    number(row);
  });
}

function mean(slots: Slot[]): number | undefined {
  return slots.length === 0 ? undefined : slots.reduce((sum, slot) => sum + slot.order, 0) / slots.length;
}

/** How many pairs of edges cross between neighbouring layers: inversions, counted in a tree of sums. */
function crossings(rows: Slot[][]): number {
  let count = 0;
  for (let layer = 1; layer < rows.length; layer++) {
    const width = (rows[layer] ?? []).length;
    const sums = new Array<number>(width + 1).fill(0);
    let seen = 0;
    for (const slot of rows[layer - 1] ?? []) {
      const ends = slot.after.map((next) => next.order).sort((a, b) => a - b);
      for (const end of ends) {
        let before = 0;
        for (let at = end + 1; at > 0; at -= at & -at) before += sums[at] ?? 0;
        count += seen - before;
      }
      for (const end of ends) {
        seen++;
        for (let at = end + 1; at <= width; at += at & -at) sums[at] = (sums[at] ?? 0) + 1;
      }
    }
  }
  return count;
}

const thickness = (row: Slot[]) => Math.max(0, ...row.map((slot) => slot.along));

/** Gives each slot its middle, as near to its neighbours as its layer allows; gives the layers' middles. */
function place(rows: Slot[][], spacing: Spacing): number[] {
  for (const row of rows) settle(row, row.map(() => 0), spacing.boxes);
  for (let turn = 0; turn < RELAXATIONS; turn++) {
    for (const row of turn % 2 === 0 ? rows : rows.toReversed()) {
      const wants = row.map((slot) => {
        const near = [...slot.before, ...slot.after];
        const sum = near.reduce((sum, other) => sum + other.middle, 0);
        return near.length === 0 ? slot.middle : sum / near.length;
      });
      settle(row, wants, spacing.boxes);
    }
  }
  const edge = Math.min(...rows.flat().map((slot) => slot.middle - slot.across / 2));
  for (const slot of rows.flat()) slot.middle -= edge;
  let at = 0;
  return rows.map((row) => {
    const middle = at + thickness(row) / 2;
    at += thickness(row) + spacing.layers;
    return middle;
  });
}

/**
 * Places a layer's slots in their order, apart, and together as near as can be to where they want to be:
 * the least squares under these bounds, found by pooling neighbours that would overlap.
 */
function settle(row: Slot[], wants: number[], gap: number) {
  const offsets: number[] = [];
  row.forEach((slot, index) => {
    const before = row[index - 1];
    offsets.push(before ? (offsets[index - 1] ?? 0) + (before.across + slot.across) / 2 + gap : 0);
  });
  const pools: { sum: number; count: number }[] = [];
  wants.forEach((want, index) => {
    let pool = { sum: want - (offsets[index] ?? 0), count: 1 };
    for (let last = pools.at(-1); last && last.sum / last.count >= pool.sum / pool.count; last = pools.at(-1)) {
      pool = { sum: pool.sum + last.sum, count: pool.count + last.count };
      pools.pop();
    }
    pools.push(pool);
  });
  let index = 0;
  for (const { sum, count } of pools) {
    for (let of_pool = 0; of_pool < count; of_pool++, index++) {
      const slot = row[index];
      if (slot) slot.middle = sum / count + (offsets[index] ?? 0);
    }
  }
}
