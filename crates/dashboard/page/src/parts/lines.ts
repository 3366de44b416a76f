// What differs between two texts, line by line.

export type Line = { sign: "+" | "-" | " "; text: string };

/** How many lines a text may have for its differences to be looked for one by one. */
const MOST = 2000;

/** How many lines that are the same are shown around what differs. */
const AROUND = 2;

/** The lines of both, in order: those that went, those that came, those that stayed. */
export function differing(before: string, after: string): Line[] {
  const [old, fresh] = [split(before), split(after)];
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head++;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++;
  const same = (lines: string[]) => lines.map((text): Line => ({ sign: " ", text }));
  const middle = compare(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail));
  return [...same(old.slice(0, head)), ...middle, ...same(old.slice(old.length - tail))];
}

/** The same without what is far from any difference; `null` stands where lines are left out. */
export function excerpt(lines: Line[]): (Line | null)[] {
  const near = new Set<number>();
  lines.forEach(({ sign }, at) => {
    if (sign !== " ") for (let other = at - AROUND; other <= at + AROUND; other++) near.add(other);
  });
  const shown: (Line | null)[] = [];
  lines.forEach((line, at) => {
    if (near.has(at)) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}

const split = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

/** By the longest common subsequence; what is too long for that went and came as a whole. */
function compare(old: string[], fresh: string[]): Line[] {
  const went = (text: string): Line => ({ sign: "-", text });
  const came = (text: string): Line => ({ sign: "+", text });
  if (old.length > MOST || fresh.length > MOST) return [...old.map(went), ...fresh.map(came)];
  const width = fresh.length + 1;
  const longest = new Uint16Array((old.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] as number;
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = fresh.length - 1; j >= 0; j--) {
      longest[i * width + j] = old[i] === fresh[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      lines.push({ sign: " ", text: old[i] as string });
      i++;
      j++;
    } else if (i < old.length && (j === fresh.length || at(i + 1, j) >= at(i, j + 1))) lines.push(went(old[i++] as string));
    else lines.push(came(fresh[j++] as string));
  }
  return lines;
}
