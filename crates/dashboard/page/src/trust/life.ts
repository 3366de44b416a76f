// How much of a certificate's life is left.
import type { Certificate } from "../api/types";

/** The one that ends first on top; those of which that is not known, and those that fail, before it. */
export function soonest_first(certificates: Certificate[]): Certificate[] {
  const rank = ({ failed, ends }: Certificate) => `${failed ? 0 : 1} ${ends ?? ""}`;
  return certificates.toSorted((one, other) => (rank(one) < rank(other) ? -1 : 1));
}

/** The share of a life that is left, and whether it should have been renewed. */
export function rest(begins: string | null, ends: string, now: number, lifetime?: number): { share: number; is_late: boolean } {
  const end = Date.parse(ends);
  const begin = begins ? Date.parse(begins) : end - (lifetime ?? 0) * 1000;
  const share = end > begin ? (end - now) / (end - begin) : 0;
  return { share: Math.min(1, Math.max(0, share)), is_late: share < LATE };
}

/** Renewal is due at half of life; with less left than this it has failed again and again. */
const LATE = 0.4;
