// Whether a mesh is well: the same answer as `leno status` gives (`leno_admin::Overview::verdict`).
import type { Overview } from "./api/types";

export type Verdict = { grade: "well" | "doubtful" | "wrong"; words: string };

export function verdict({ findings, workloads, traffic }: Overview): Verdict {
  const found = (severity: string) => findings.filter((finding) => finding.severity === severity).length;
  const down = workloads.filter((workload) => workload.state === "failed").length;
  const troubled = workloads.filter((workload) => workload.state !== "failed" && workload.trouble).length;
  const failed = (traffic?.edges ?? []).some((edge) => edge.failed > 0);
  const [wrong, doubtful] = [found("error") + down, found("warning") + troubled];
  if (wrong === 1) return { grade: "wrong", words: "One thing is wrong" };
  if (wrong > 1) return { grade: "wrong", words: `${wrong} things are wrong` };
  if (failed) return { grade: "doubtful", words: "Some calls fail" };
  return doubtful > 0 ? { grade: "doubtful", words: "Something is doubtful" } : { grade: "well", words: "All is well" };
}
