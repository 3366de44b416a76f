// Where everything on the map is: namespaces as areas, in each its services in layers. What was placed
// before stays where it was as far as what is added lets it.
import { layered, type Box, type Layered } from "./layered";

export type Point = { x: number; y: number };
export type Area = { namespace: string; x: number; y: number; width: number; height: number };

export type Arrangement = {
  /** The middles of services. */
  at: Map<string, Point>;
  areas: Area[];
  /** The points that an edge passes between its ends, by `edge_id`. */
  bends: Map<string, Point[]>;
  width: number;
  height: number;
  /** Whether layers lie beside each other, else below each other. */
  is_wide: boolean;
  /** Of each namespace, how it is arranged in itself. */
  within: Map<string, Layered>;
};

export type Placed = { id: string; namespace: string; width: number; height: number };

/** Beyond so many edges there is no room for words along each. */
export const FEW_EDGES = 90;

/** Room between layers, and between what lies in one: enough for words along edges, where there are any. */
const WIDE = { layers: 128, boxes: 30 };
const TALL = { layers: 64, boxes: 76 };
const DENSE = { layers: 52, boxes: 16 };

const PAD = 28;
/** Between namespaces. */
const GAP = 110;
const TITLE = 30;
/** The same where a map is so large that it is looked at from far. */
const LARGE_TITLE = 84;

/** Arranges for a window of this shape (its width by its height). */
export function arrange(
  nodes: Placed[],
  edges: [string, string][],
  shape: number,
  known?: Arrangement,
): Arrangement {
  if (known) return arranged(nodes, edges, shape, known.is_wide, known);
  const [wide, tall] = [true, false].map((is_wide) => arranged(nodes, edges, shape, is_wide)) as [Arrangement, Arrangement];
  return fit(wide, shape) >= fit(tall, shape) ? wide : tall;
}

/** How large it can be drawn in a window of this shape. */
const fit = ({ width, height }: Arrangement, shape: number) => Math.min(shape / width, 1 / height);

function arranged(
  nodes: Placed[],
  edges: [string, string][],
  shape: number,
  is_wide: boolean,
  known?: Arrangement,
): Arrangement {
  const of = new Map(nodes.map((node) => [node.id, node]));
  const spacing = edges.length <= FEW_EDGES ? (is_wide ? WIDE : TALL) : DENSE;
  const names = [...new Set(nodes.map((node) => node.namespace))].sort();
  const within = new Map<string, Layered>();
  for (const name of names) {
    const members = nodes.filter((node) => node.namespace === name).sort((a, b) => a.id.localeCompare(b.id));
    const boxes = members.map(
      ({ id, width, height }): Box => (is_wide ? { id, along: width, across: height } : { id, along: height, across: width }),
    );
    const inner = edges.filter(([from, to]) => of.get(from)?.namespace === name && of.get(to)?.namespace === name);
    within.set(name, layered(boxes, inner, spacing, known?.within.get(name)));
  }
  const title = edges.length > FEW_EDGES ? LARGE_TITLE : TITLE;
  const pad = names.length > 1 ? { side: PAD, top: title + PAD } : { side: 0, top: 0 };
  const areas = areas_of(in_flow(names, edges, of, known), within, is_wide, pad, shape);
  const [at, bends] = [new Map<string, Point>(), new Map<string, Point[]>()];
  for (const area of areas) {
    const inside = within.get(area.namespace);
    const point = ({ along, across }: { along: number; across: number }) => ({
      x: area.x + pad.side + (is_wide ? along : across),
      y: area.y + pad.top + (is_wide ? across : along),
    });
    for (const [id, place] of inside?.at ?? []) at.set(id, point(place));
    for (const [id, way] of inside?.bends ?? []) bends.set(id, way.map(point));
  }
  const width = Math.max(1, ...areas.map((area) => area.x + area.width));
  const height = Math.max(1, ...areas.map((area) => area.y + area.height));
  return { at, areas, bends, width, height, is_wide, within };
}

/** Namespaces, those that call before those that are called; known ones in the order they had. */
function in_flow(names: string[], edges: [string, string][], of: Map<string, Placed>, known?: Arrangement): string[] {
  const net = new Map<string, number>(names.map((name) => [name, 0]));
  for (const [from, to] of edges) {
    const [caller, called] = [of.get(from)?.namespace, of.get(to)?.namespace];
    if (caller === undefined || called === undefined || caller === called) continue;
    net.set(caller, (net.get(caller) ?? 0) - 1);
    net.set(called, (net.get(called) ?? 0) + 1);
  }
  const order = new Map(known?.areas.map((area, index) => [area.namespace, index]));
  const rank = (name: string) => order.get(name) ?? Infinity;
  return names.toSorted((a, b) => rank(a) - rank(b) || (net.get(a) ?? 0) - (net.get(b) ?? 0) || a.localeCompare(b));
}

/** Areas in columns, as many as give about the window's shape. */
function areas_of(
  names: string[],
  within: Map<string, Layered>,
  is_wide: boolean,
  pad: { side: number; top: number },
  shape: number,
): Area[] {
  const sizes = names.map((namespace) => {
    const { along, across } = within.get(namespace) ?? { along: 0, across: 0 };
    const [width, height] = is_wide ? [along, across] : [across, along];
    return { namespace, width: width + 2 * pad.side, height: height + pad.top + pad.side };
  });
  let best: Area[] = [];
  let largest = 0;
  for (let columns = 1; columns <= Math.max(1, sizes.length); columns++) {
    const areas = in_columns(sizes, columns);
    const width = Math.max(...areas.map((area) => area.x + area.width));
    const height = Math.max(...areas.map((area) => area.y + area.height));
    const scale = Math.min(shape / width, 1 / height);
    if (scale > largest) [best, largest] = [areas, scale];
  }
  return best;
}

function in_columns(sizes: { namespace: string; width: number; height: number }[], columns: number): Area[] {
  const total = sizes.reduce((sum, size) => sum + size.height + GAP, 0);
  const areas: Area[] = [];
  let [x, y, widest, column] = [0, 0, 0, 1];
  for (const size of sizes) {
    const is_full = y > 0 && y + size.height / 2 > total / columns && column < columns;
    if (is_full) [x, y, widest, column] = [x + widest + GAP, 0, 0, column + 1];
    areas.push({ ...size, x, y });
    y += size.height + GAP;
    widest = Math.max(widest, size.width);
  }
  return areas;
}
