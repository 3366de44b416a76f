// Something is wrong with what was written: where, what is in force meanwhile, whose fault, what to do.
import assert from "node:assert/strict";
import { says, until, visit } from "./browser.mjs";

await visit(async (page) => {
  await page.getByRole("link", { name: "One thing is wrong" }).click();
  const problem = page.getByRole("article").filter({ hasText: "C113 backend-not-found" });
  await problem.waitFor();
  await says(problem, "HTTPRoute default/cart", "leno.yaml:", "In force", "500", "Fault", "configuration", "leno diff 1 2", "leno rollback 1");
  const [line, caret] = (await problem.locator("pre").innerText()).split("\n");
  assert.equal(line.slice(caret.indexOf("^")).startsWith("cart-v9"), true, `${line}\n${caret}`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await problem.getByRole("button", { name: "Copy: leno rollback 1" }).click();
  let copied = "";
  await until(
    () => `what was copied is ${copied}`,
    async () => (copied = await page.evaluate(() => navigator.clipboard.readText())) === "leno rollback 1",
  );
  await page.getByText(/1 problem, \d+ checks passed/).waitFor();
});
