// Answers that are kept up to date for as long as a component shows them.

import { Failure } from "../api/ask";

const EVERY_MS = 2000;

/** What the page knows of the control plane, over all that it asks. */
class Connection {
  /** Since when nobody answers; `null` while somebody does. */
  away_since = $state<Date | null>(null);
  ended = $state(false);
  /** When the last answer came. */
  heard = $state<Date | null>(null);
  /** Whether live data stands still because somebody wants to read. */
  paused = $state(false);
  /** Whether somebody moves what is shown, which is no time to change it. */
  is_moving = false;

  hear() {
    this.heard = new Date();
    this.away_since = null;
    this.ended = false;
  }

  miss(failure: Failure) {
    if (failure.kind === "away") this.away_since ??= this.heard ?? new Date();
    if (failure.kind === "ended") this.ended = true;
  }
}

export const connection = new Connection();

/** An answer, or why there is none. A failure leaves the last answer in place. */
export class Live<T> {
  answer = $state.raw<T | undefined>(undefined);
  failure = $state.raw<Failure | null>(null);
  #asked = 0;

  /** Takes the answer to the newest question; one that was overtaken is dropped. */
  async look(question: () => Promise<T>) {
    const mine = ++this.#asked;
    try {
      const answer = await question();
      connection.hear();
      // What was asked before somebody began to move waits, too; a first answer does not.
      while (connection.is_moving && this.answer !== undefined) await new Promise((rested) => setTimeout(rested, 100));
      if (mine !== this.#asked) return;
      this.answer = answer;
      this.failure = null;
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure("refused", String(error));
      connection.miss(failure);
      if (mine === this.#asked) this.failure = failure;
    }
  }
}

/**
 * Asks again and again while the component is there and somebody looks, and at once when something
 * changes that `question` reads before it waits. `every_ms: 0` asks only then.
 */
export function live<T>(question: () => Promise<T>, every_ms: number | (() => number) = EVERY_MS): Live<T> {
  const live = new Live<T>();
  $effect(() => {
    let over = false;
    let timer = 0;
    const every = typeof every_ms === "number" ? every_ms : every_ms();
    const turn = async (asked: () => Promise<T>) => {
      await live.look(asked);
      if (over || every === 0) return;
      timer = window.setTimeout(function wait() {
        if (document.hidden || connection.paused || connection.is_moving) timer = window.setTimeout(wait, every / 4);
        else void turn(question);
      }, every);
    };
    const first = question();
    void turn(() => first);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  });
  return live;
}
