// The keyboard: what each key does, as a list that the help shows and that a page adds its own to.
import { untrack } from "svelte";

/** A key, or two in a row (`g m`), and what it does. */
export type Key = {
  press: string;
  does: string;
  act: () => void;
};

class Keyboard {
  /** The groups of keys that count, the most particular one last. */
  groups = $state.raw<{ name: string; keys: Key[] }[]>([]);
  #first = "";
  #forget = 0;

  /** Adds keys; gives what takes them away again. */
  add(name: string, keys: Key[]): () => void {
    const group = { name, keys };
    this.groups = [...this.groups, group];
    return () => (this.groups = this.groups.filter((other) => other !== group));
  }

  handle(event: KeyboardEvent) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // What lies above the page has the keys to itself.
    if (document.querySelector("dialog[open]")) return;
    if (event.key !== "Escape" && is_its_own(event.key, event.target)) return;
    const pressed = this.#first ? `${this.#first} ${event.key}` : event.key;
    const keys = this.groups.flatMap((group) => group.keys);
    clearTimeout(this.#forget);
    this.#first = "";
    const key = keys.findLast((key) => key.press === pressed);
    if (key) {
      event.preventDefault();
      key.act();
    } else if (keys.some((key) => key.press.startsWith(`${pressed} `))) {
      this.#first = pressed;
      this.#forget = window.setTimeout(() => (this.#first = ""), 1500);
    }
  }
}

export const keyboard = new Keyboard();
addEventListener("keydown", (event) => keyboard.handle(event));

/** Lets keys count while the component is there. */
export function keys(name: string, keys: Key[]) {
  $effect(() => untrack(() => keyboard.add(name, keys)));
}

/** Whether what has the focus does something of its own with a key. */
function is_its_own(key: string, target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (key === "Enter" || key === " ") return target.matches("button, a, input, select, textarea, summary");
  if (target.matches("input[type=range]")) return /^(Arrow|Home|End|Page)/.test(key);
  return target.matches("input, select, textarea, [contenteditable]");
}
