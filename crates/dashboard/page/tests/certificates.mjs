// Who has a certificate, how long it is good, and who signed it.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(async (page) => {
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.getByText("trust domain shop.local").waitFor();
  const rows = page.getByRole("list", { name: /^Certificates/ }).getByRole("listitem");
  await rows.filter({ hasText: "default/payments" }).waitFor();
  assert.ok((await rows.count()) >= 7, "each workload has an identity");
  const bar = rows.first().getByRole("img", { name: /of its life is left/ });
  assert.equal(await bar.count(), 1);
  for (const issuer of ["Root", "Intermediate", "Workloads"]) await page.getByRole("heading", { name: issuer }).waitFor();
  await page.getByText("all renewals are well").waitFor();
}, { width: 400, dark: true });
