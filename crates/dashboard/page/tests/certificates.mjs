// Who has a certificate, how long it is good, who signed it, and which other trust domains are believed. The mesh has
// a peer whose keys nobody can get, and a root that waits until that peer has had time to look.
import { fits, press_together, says, until, visit } from "./browser.mjs";

await visit(async (page) => {
  await press_together(page, "gt");
  await page.getByText("trust domain shop.local").waitFor();
  const rows = page.getByRole("list", { name: /^Certificates/ }).getByRole("listitem");
  await rows.filter({ hasText: "default/payments" }).waitFor();
  for (const name of ["visitors", "web", "checkout", "cart", "catalog", "store"]) await rows.filter({ hasText: `default/${name}` }).first().waitFor();
  await rows.first().getByRole("img", { name: /of its life is left/ }).waitFor();
  for (const issuer of ["Root", "Intermediate", "Workloads"]) await page.getByRole("heading", { name: issuer, exact: true }).waitFor();
  await page.getByText("all renewals are well").waitFor();

  const roots = page.getByRole("region", { name: "Roots that replace each other" });
  await says(roots, "signs", "announced, signs next", "when other trust domains have had time to look at it");
  let count = 0;
  await until(() => `there are ${count} roots`, async () => (count = await roots.getByRole("listitem").count()) === 2);
  const peers = page.getByRole("region", { name: "Other trust domains" });
  await says(peers, "bank.example", "no keys yet", "MeshPeer bank", "T023", "peer-keys-not-had", "nobody of it is believed", "leno explain T023");
  await fits(page, 400);
}, { width: 400, dark: true });
