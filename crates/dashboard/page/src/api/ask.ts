// Asks the control plane. Whatever goes wrong is said in words that a person can act on.

/** Why there is no answer. */
export class Failure extends Error {
  constructor(
    /** `away`: nobody answered. `ended`: the visit is over. `refused`: the answer is this failure. */
    readonly kind: "away" | "ended" | "refused",
    message: string,
    readonly advice?: string,
    readonly code?: string,
  ) {
    super(message);
  }
}

const PATIENCE_MS = 20_000;

/** A question, as the administration socket takes it: `{ ask: "diff", from: 3 }`. */
export type Question = { ask: string; [field: string]: unknown };

/** The answer to a question. */
export async function ask<T>(question: Question): Promise<T> {
  const answer = await fetch("ask", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(question),
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch(() => {
    throw new Failure("away", "The control plane does not answer.", "leno status");
  });
  if (answer.status === 401) {
    throw new Failure("ended", "This visit has ended. For another link, run:", "leno dashboard");
  }
  const told = await answer.json().catch(() => {
    throw new Failure("away", "The control plane stopped in the middle of its answer.", "leno status");
  });
  if (told.failure) throw refused(told.failure);
  return told.answer;
}

function refused({ message, advice, code }: { message: string; advice?: string | null; code?: string | null }): Failure {
  return new Failure("refused", message, advice ?? undefined, code ?? undefined);
}
