// Roots that replace each other and other trust domains, in words: those of `leno certs list`.
import type { NextRoot, Peer, Root } from "../api/types";
import { counted, moment } from "../words";

/** What a root does at this stage of its life. */
export function stage({ stage, needed_until }: Root): string {
  if (stage === "active") return "signs";
  if (stage === "announced") return "announced, signs next";
  return `leaves ${moment(needed_until)}, when what it signed has ended`;
}

/** What happens next to the root that is announced, and for whom that waits. */
export function next_step({ due, holders, confirmed, silent, abroad }: NextRoot): string {
  const heard = `${confirmed} of ${counted(holders, "holder")} ${holders === 1 ? "has" : "have"} confirmed it`;
  if (silent.length > 0) return `The announced root signs at ${moment(due)} at the latest: ${heard}.`;
  if (abroad) return `The announced root signs at ${moment(due)}, when other trust domains have had time to look at it.`;
  return `The announced root signs at once: ${heard}.`;
}

/** Whether anything proves identities of another trust domain. */
export const is_believed = ({ roots, proves_tokens }: Peer) => roots > 0 || proves_tokens;

/** What its keys prove, and how old they are. */
export function keys(peer: Peer): string {
  if (!is_believed(peer)) return "no keys yet: nobody of it is believed";
  const proven = [peer.roots > 0 ? counted(peer.roots, "root") : "", peer.proves_tokens ? "keys for tokens" : ""];
  const age = peer.got ? `got ${moment(peer.got)}` : "as they are written";
  return `${proven.filter(Boolean).join(" and ")}, ${age}`;
}
