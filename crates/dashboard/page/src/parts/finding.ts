// A finding in the words of `leno check`.
import type { Finding } from "../api/types";
import { moment } from "../words";

export const MARKS = { error: "✗", warning: "!", info: "·" };

/** What is wrong, and what was probably meant. */
export const message = ({ message, suggestion }: Finding) => (suggestion ? `${message}; ${suggestion}` : message);

/** `routes/cart.yaml:18:15`. */
export function place({ file, line, column }: Finding): string | null {
  if (!file || !line) return file;
  return column ? `${file}:${line}:${column}` : `${file}:${line}`;
}

/** `since 02:38, revision 417 (ops)`. */
export function since({ since }: Finding): string {
  if (!since) return "";
  const brought = since.revision ? `, revision ${since.revision}${since.who ? ` (${since.who})` : ""}` : "";
  return `since ${moment(since.at)}${brought}`;
}

/** The commands to go on with: what the revision that brought it changed, and how to take it back. */
export function commands({ code, next, since }: Finding): string[] {
  if (next) return next.split(" · ");
  const before = (since?.revision ?? 0) - 1;
  return before >= 1 ? [`leno diff ${before} ${before + 1}`, `leno rollback ${before}`] : [`leno explain ${code}`];
}

const WIDEST = 100;

/** A line of a file, and what stands under it so that it points at what is meant. */
export function picture({ text, column, width }: Finding): { line: string; caret: string } | null {
  if (!text || !column || !width) return null;
  const letters = [...text.replaceAll("\t", " ")];
  const cut = letters.length <= WIDEST ? 0 : Math.max(0, column - 1 - WIDEST / 2);
  const shown = letters.slice(cut, cut + WIDEST);
  const before = Math.min(column - 1 - cut, shown.length);
  const carets = Math.min(Math.max(width, 1), Math.max(shown.length - before, 1));
  return { line: shown.join(""), caret: " ".repeat(before) + "^".repeat(carets) };
}
