// Who has a certificate, how long it is good, and who signed it.
import { press_together, visit } from "./browser.mjs";

await visit(async (page) => {
  await press_together(page, "gt");
  await page.getByText("trust domain shop.local").waitFor();
  const rows = page.getByRole("list", { name: /^Certificates/ }).getByRole("listitem");
  await rows.filter({ hasText: "default/payments" }).waitFor();
  for (const name of ["visitors", "web", "checkout", "cart", "catalog", "store"]) await rows.filter({ hasText: `default/${name}` }).first().waitFor();
  await rows.first().getByRole("img", { name: /of its life is left/ }).waitFor();
  for (const issuer of ["Root", "Intermediate", "Workloads"]) await page.getByRole("heading", { name: issuer }).waitFor();
  await page.getByText("all renewals are well").waitFor();
}, { width: 400, dark: true });
